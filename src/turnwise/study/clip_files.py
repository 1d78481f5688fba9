"""The files behind clips: whether they are there, whether they hold what was kept, and how to come by one that does."""

from __future__ import annotations

from turnwise.foundation.audio import Sound
from turnwise.foundation.errors import StorageError
from turnwise.speech.clip import Clip
from turnwise.speech.clip_store import ClipStore


def kept(clips: ClipStore, sound: Sound, perturbation: str = "") -> Clip:
    """Keep a sound, also where a damaged file has its name."""
    clip = clips.keep(sound, perturbation)
    return clip if whole(clips, clip) else clips.keep(sound, perturbation)


def there(clips: ClipStore, clip: Clip) -> bool:
    """Whether a clip has a file with something in it; what that is only `whole` tells."""
    path = clips.path(clip)
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}", "check the folder's permissions") from error


def whole(clips: ClipStore, clip: Clip) -> bool:
    """Whether a clip holds the samples that were kept. A damaged file is taken away, so that the clip can be kept anew."""
    path = clips.path(clip)
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        return False
    except OSError as error:  # it may be whole: nothing to be made again
        raise StorageError(f"{path} cannot be read: {error.strerror}", "check the folder's permissions") from error
    if clips.check(clip) is None:
        return True
    path.unlink(missing_ok=True)
    return False
