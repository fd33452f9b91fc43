from .compiled import jit as jit
