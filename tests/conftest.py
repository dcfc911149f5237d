"""Settings for all tests."""

import os

from hypothesis import settings

# In CI a change is judged by the same examples every time; elsewhere each run explores new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
