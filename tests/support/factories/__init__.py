"""Builders of jobs, configurations, ladders and images."""
