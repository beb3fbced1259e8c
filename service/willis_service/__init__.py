"""The microservice: studies in over DICOM and REST, results out as SEG, SR, JSON and report."""
