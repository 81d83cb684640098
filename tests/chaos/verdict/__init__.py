"""What is found after a campaign, whether it is as promised, and how that is reported."""
