"""The outsides of PNG, JPEG, WebP and GIF: what they promise, and what they carry besides pixels.

No pixel is decoded or encoded here. A file is read part by part (chunk, segment, block) up to its
end marker, every length checked, and can be written again from the parts that show the picture or
say where it comes from. Text, places, scripts, unknown parts and what follows the end stay behind.
"""

from contract.untrusted.imaging.container import Container
from contract.untrusted.imaging.formats import read, strip

__all__ = ["Container", "read", "strip"]
