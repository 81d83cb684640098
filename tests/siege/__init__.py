"""Ten tenants behave well while one at a time abuses what they share: `make siege`."""
