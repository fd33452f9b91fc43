"""Calibrations written by hand: one camera as MayaCam 1.0 (in cm) and 2.0 (in mm).

Its source is at (800, 10, 20) mm of the rig; its image's columns run along the rig's y, its rows against
the rig's z, and it looks against x. Focal lengths differ in 2.0 (1900 px along rows), which 1.0 cannot say.
"""

VERSION_2 = """image size
640,512

camera matrix
2000,0,310
0,1900,255
0,0,1

rotation
0,1,0
0,0,-1
-1,0,0

translation
-10
20
800
"""
# u from 1; v from 1 and from the bottom of 512 rows; Z = -focal length.
VERSION_1 = """80,1,2
90,0,90
0,0,-1
311,257,-2000
0.1,640,512
"""
MAYACAM = {1: VERSION_1, 2: VERSION_2}
# The same camera with a lens of 90 degrees, as VTK has it.
VTKCAM = """# written by hand
version: 1.0
focal-point: [-5.0, 10.0, 20.0]
camera-position: [800.0, 10.0, 20.0]
view-up: [0.3, 0.0, 1.0]
view-angle: 90.0
image-width: 640
image-height: 512
clipping-range: [0.1, 1000]
"""
JOINTTRACK = "JT_INTCALIB\n1000\n12\n-6\n0.5\n"
