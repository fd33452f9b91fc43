"""Which forms of papers there are. Imports nothing heavy: a command line asks for help often."""

FORM_TITLES = {
    "rayemb": "RayEmb, Tables 1 and 2 (Shrestha et al., ACCV 2024)",
    "xvr": "xvr, Table S1 (Gopalakrishnan et al., 2025)",
    "xvr-figure": "xvr, Figure 4 (Gopalakrishnan et al., 2025)",
    "chen": "Chen et al., registration by data set (WACV 2026)",
}
"""What `write_forms` can be asked for, and what each is the form of."""
