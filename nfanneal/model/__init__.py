"""From parameters to log-likelihoods: priors, noise, simulators, ODE systems, Python functions."""
