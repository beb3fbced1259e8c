"""Pure array functions: resample, brain, midplane, register, components."""
