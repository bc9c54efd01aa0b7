"""Reference architectures with BatchNorm, each one builder for both Kerases."""
