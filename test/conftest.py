"""Shared by all tests: no network, and where the real speech lies."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
