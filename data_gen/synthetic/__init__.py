"""The demo subject: an open 3-D head that speaks, filmed with exact ground truth, so that no real face is shipped."""
