"""The edges: DICOM, REST, queue, storage, web, telemetry. They do not import each other."""
