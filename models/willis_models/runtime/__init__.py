"""The only place that knows ONNX Runtime: bundles, sessions, golden replay."""

from __future__ import annotations

import os

# Since 1.29 ONNX Runtime reports to its vendor from the moment it is imported, on Linux too, and
# keeps a device identifier in the home folder (onnxruntime pull request 27379). Nothing else turns
# it off, and a clinical service sends nothing that nobody asked for.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
