"""Processing of one person's video; the stages in order are in :mod:`data_gen.videos.pipeline`."""
