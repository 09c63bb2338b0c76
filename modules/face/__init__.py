"""The face in a video: landmarks, pose of the head, masks of head and torso."""

from modules.face.landmarkers.base import Landmarker, LandmarkTrack, build_landmarker
from modules.face.landmarks68 import to_landmarks68

__all__ = ["LandmarkTrack", "Landmarker", "build_landmarker", "to_landmarks68"]
