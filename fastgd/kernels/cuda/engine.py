"""The engine of device="cuda": loading it raises DeviceError where something is missing."""

from __future__ import annotations

from .shim import require

require()
