"""Distributions over the latent space with draws and an exact density."""
