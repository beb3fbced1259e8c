"""ISLES'24: acute CT, perfusion maps and the infarct that follow-up MRI showed."""
