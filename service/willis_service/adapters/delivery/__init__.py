"""Ways to destinations that are no DICOM network peers, and the file that lists all of them."""
