"""How to ask each image provider: one small file each, both of its functions pure."""
