"""Barycenters of histograms: entropic, debiased, and of the lambda-divergence."""
