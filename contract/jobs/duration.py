"""A time in words."""


def duration(seconds: float) -> str:
    """Say a time as people do: "2 s", "5 min", "24 h", "several days"."""
    if seconds < 120:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 72 * 3600 else "several days"
