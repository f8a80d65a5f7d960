"""Annealed flow training: from the prior at β = 0 to a flow over the posterior at β = 1."""
