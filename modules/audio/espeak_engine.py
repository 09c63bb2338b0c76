"""Speak texts with espeak-ng and report its phoneme events; run as a program of its own by `synthetic_speech.py`.

Reads one JSON job from stdin (library, data, voice, words_per_minute, texts) and writes one JSON line for each text:
`wave` (16-bit samples, base64), `events` (IPA, first sample) and `rate_hz`.
"""

from __future__ import annotations

import base64
import ctypes
import json
import sys
from typing import Any

_PHONEMES_AND_IPA, _SYNCHRONOUS, _UTF8, _RATE = 3, 2, 1, 1
_PHONEME_EVENT, _LIST_END = 7, 0


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _EventId),
    ]  # fmt: skip


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Engine:
    """One loaded espeak-ng."""

    def __init__(self, library: str, data: str, voice: str, words_per_minute: int) -> None:
        self.lib = ctypes.CDLL(library)
        self.rate_hz = self.lib.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _PHONEMES_AND_IPA)
        if self.rate_hz <= 0 or self.lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SystemExit(f"espeak-ng cannot speak with voice {voice!r}")
        self.lib.espeak_SetParameter(_RATE, words_per_minute, 0)
        self.wave = bytearray()
        self.events: list[tuple[str, int]] = []
        self.callback = _Callback(self.collect)
        self.lib.espeak_SetSynthCallback(self.callback)

    def collect(self, wave: Any, count: int, event: Any) -> int:
        """Keep a block of samples and its phoneme events (called by the library)."""
        if wave and count > 0:
            self.wave += ctypes.string_at(wave, 2 * count)
        i = 0
        while event[i].type != _LIST_END:
            if event[i].type == _PHONEME_EVENT:
                self.events.append((event[i].id.string.decode("utf-8", "ignore"), event[i].sample))
            i += 1
        return 0

    def speak(self, text: str) -> dict[str, object]:
        """The answer to one text."""
        self.wave.clear()
        self.events.clear()
        self.lib.espeak_ng_SetRandSeed(ctypes.c_long(1))  # breath is noise, seeded by the clock otherwise
        raw = text.encode()
        self.lib.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, _UTF8, None, None)
        self.lib.espeak_Synchronize()
        return {"wave": base64.b64encode(self.wave).decode(), "events": self.events, "rate_hz": self.rate_hz}


def main() -> None:
    """Answer the job on stdin."""
    job = json.load(sys.stdin)
    engine = Engine(job["library"], job["data"], job["voice"], job["words_per_minute"])
    for text in job["texts"]:
        sys.stdout.write(json.dumps(engine.speak(text)) + "\n")


if __name__ == "__main__":
    main()
