// Scalar functions that C, CUDA and GLSL share word for word, so that a draw takes the same path on every backend and no
// result hangs on how a driver rounds exp or cos. float32 throughout; each function states its error bound.
#ifndef RP_OP_MATH_H
#define RP_OP_MATH_H
// (to be written: see the list in the task)
#endif
