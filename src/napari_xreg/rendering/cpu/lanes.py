"""Eight rays side by side, plane by plane: the sums of Joseph's kernel in vector registers.

Neighbouring rays read neighbouring voxels of a plane, one ray reads a plane after the other: side by side the same voxels
are in the cache already. A loop of numba's over such rays is not made one of vectors (its sums are written where the
voxels might lie, as far as the compiler knows), so it is spelled out here.
"""

from typing import Any, no_type_check

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 8
"""Rays in a block: a register of AVX2, two of NEON."""

_FLOATS, _INTS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
_LONGS = ir.VectorType(ir.IntType(64), LANES)
_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_ZERO = ir.Constant(_FLOATS, [0.0] * LANES)
_PLACES = ir.VectorType(ir.PointerType(), LANES)
_FAST = ("fast",)


class _Vectors:
    """Vector instructions, a line each."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def splat(self, scalar: Any, kind: ir.VectorType) -> Any:
        """The same in every lane."""
        one = self.builder.insert_element(
            ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_I32, 0)
        )
        return self.builder.shuffle_vector(one, one, ir.Constant(_INTS, [0] * LANES))

    def whole(self, number: int) -> Any:
        """The same whole number in every lane."""
        return ir.Constant(_INTS, [number] * LANES)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=_FAST)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FAST)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=_FAST)

    def between(self, a: Any, b: Any, weight: Any) -> Any:
        """``a`` where the weight is 0, ``b`` where it is 1."""
        return self.add(a, self.mul(weight, self.sub(b, a)))

    def within(self, a: Any, highest: Any) -> Any:
        """Between 0 and `highest`."""
        up = self.builder.select(self.builder.fcmp_ordered(">", a, _ZERO, flags=_FAST), a, _ZERO)
        low = self.builder.fcmp_ordered("<", up, highest, flags=_FAST)
        return self.builder.select(low, up, highest)

    def parts(self, a: Any) -> tuple[Any, Any]:
        """Whole number and what is left, of what is not negative."""
        whole = self.builder.fptosi(a, _INTS)
        return whole, self.sub(a, self.builder.sitofp(whole, _FLOATS))

    def load(self, start: Any, at: Any, kind: ir.VectorType, voxel: Any) -> Any:
        """An element in every lane, `at` voxels from `start`.

        LLVM makes one instruction of it, or loads lane by lane where the processor's own is slow.
        """
        builder, name = (
            self.builder,
            f"llvm.masked.gather.v{LANES}{kind.element.intrinsic_name}.v{LANES}p0",
        )
        places = builder.gep(start, [at], source_etype=voxel)
        places.type = _PLACES  # llvmlite knows places of scalars alone
        lanes = ir.VectorType(ir.IntType(1), LANES)
        asked = ir.FunctionType(kind, [_PLACES, _I32, lanes, kind])
        gather = cgutils.get_or_insert_function(builder.module, asked, name)
        size = ir.Constant(_I32, 2 if voxel == _I16 else 4)
        return builder.call(
            gather, [places, size, ir.Constant(lanes, [1] * LANES), ir.Constant(kind, ir.Undefined)]
        )


def _corners(
    on: _Vectors, start: Any, at: Any, su: Any, sv: Any, *, packed: bool, side_by_side: bool
) -> tuple[Any, Any, Any, Any]:
    """The four voxels about each ray: at the lower u and v, higher u, higher v, both."""
    builder = on.builder

    def voxels(at: Any) -> Any:
        if not packed:
            return on.load(start, at, _FLOATS, ir.FloatType())
        both = on.load(start, at, _INTS, _I16)
        return builder.sitofp(builder.and_(both, on.whole(0xFFFF)), _FLOATS)

    def beside(at: Any) -> tuple[Any, Any]:
        if not side_by_side:
            return voxels(at), voxels(builder.add(at, su))
        if packed:
            both = on.load(start, at, _INTS, _I16)
            low, high = builder.and_(both, on.whole(0xFFFF)), builder.lshr(both, on.whole(16))
            return builder.sitofp(low, _FLOATS), builder.sitofp(high, _FLOATS)
        both = on.load(start, at, _LONGS, ir.FloatType())
        low, high = (
            builder.trunc(both, _INTS),
            builder.lshr(both, ir.Constant(_LONGS, [32] * LANES)),
        )
        return builder.bitcast(low, _FLOATS), builder.bitcast(builder.trunc(high, _INTS), _FLOATS)

    return *beside(at), *beside(builder.add(at, sv))


def _sums(*, slopes: bool, side_by_side: bool) -> Any:
    """An instruction for kernels: the sums of a block of rays over the planes `first` to ``first + count``.

    ``sums(values, first, count, from_middle, plane, su, sv, highest_u, highest_v, rays, out)``: `plane`, `su`, `sv` are
    strides in voxels; `rays` (4, lanes; float32) holds u and v at the middle plane and what they grow from plane
    to plane, `from_middle` is the first plane counted from there; beyond 0 and `highest` a plane holds zeros. `out`
    (5, lanes; float32) gets the sums of the samples and, with `slopes`, of those by u and v, plain and times the number of
    the plane from the middle. `side_by_side`: neighbours along u are neighbours in memory.
    """

    @intrinsic
    @no_type_check
    def sums(typing, values, first, count, from_middle, plane, su, sv, highest_u, highest_v, rays, out):  # fmt: skip
        whole, real = types.int64, types.float32
        asked = types.void(values, whole, whole, whole, whole, whole, whole, real, real, rays, out)
        return asked, spelled_out

    @no_type_check
    def spelled_out(context, builder, signature, arguments):
        values, first, count, from_middle, plane, su, sv, highest_u, highest_v, rays, out = (
            arguments
        )
        on, packed = _Vectors(builder), signature.args[0].dtype != types.float32

        def memory(which, array):
            return context.make_array(signature.args[which])(context, builder, array).data

        def rows_of(which, array, count):
            begin = builder.bitcast(memory(which, array), _FLOATS.as_pointer())
            return [builder.gep(begin, [ir.Constant(_I64, row)]) for row in range(count)]

        stride = builder.mul(plane, ir.Constant(_I64, 2 if packed else 4))
        begin = builder.bitcast(memory(0, values), ir.IntType(8).as_pointer())
        begin = builder.gep(begin, [builder.mul(first, stride)])
        u, v, du, dv = (builder.load(row, align=4) for row in rows_of(9, rays, 4))
        su, sv = (on.splat(builder.trunc(each, _I32), _INTS) for each in (su, sv))
        highest_u, highest_v = (on.splat(each, _FLOATS) for each in (highest_u, highest_v))
        totals = [cgutils.alloca_once_value(builder, _ZERO) for _ in range(5 if slopes else 1)]
        with cgutils.for_range(builder, count) as loop:
            f = builder.sitofp(builder.add(loop.index, from_middle), ir.FloatType())
            f = on.splat(f, _FLOATS)
            iu, wu = on.parts(on.within(on.add(u, on.mul(f, du)), highest_u))
            iv, wv = on.parts(on.within(on.add(v, on.mul(f, dv)), highest_v))
            at = builder.add(iu if side_by_side else builder.mul(iu, su), builder.mul(iv, sv))
            here = builder.gep(begin, [builder.mul(loop.index, stride)])
            a, b, c, d = _corners(on, here, at, su, sv, packed=packed, side_by_side=side_by_side)
            low, high = on.between(a, b, wu), on.between(c, d, wu)
            terms = [on.between(low, high, wv)]
            if slopes:
                gu, gv = on.between(on.sub(b, a), on.sub(d, c), wv), on.sub(high, low)
                terms += [gu, gv, on.mul(f, gu), on.mul(f, gv)]
            for total, term in zip(totals, terms, strict=True):
                builder.store(on.add(builder.load(total), term), total)
        for total, row in zip(totals, rows_of(10, out, len(totals)), strict=True):
            builder.store(builder.load(total), row, align=4)
        return context.get_dummy_value()

    return sums


image_sums = _sums(slopes=False, side_by_side=False)
image_sums_side_by_side = _sums(slopes=False, side_by_side=True)
slope_sums = _sums(slopes=True, side_by_side=False)
slope_sums_side_by_side = _sums(slopes=True, side_by_side=True)
