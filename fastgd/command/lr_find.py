"""`fastgd lr-find FILE`: the learning rate that brings a training to the lowest loss."""

from __future__ import annotations
