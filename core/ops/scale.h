// The scaler's arithmetic that scaler.c and scale_step.c share; float64.
#ifndef RP_OPS_SCALE_H
#define RP_OPS_SCALE_H

#include <stdint.h>

// Takes one more value into the running (n, mean, M2), weight 0 or 1.
void rp_scale_push(double *n, double *mean, double *m2, double x, double w);

// (loc, scale) of kind RP_SCALER_* from the running (n, mean, M2) and the prompt's mean and population variance.
void rp_scale_of(uint32_t kind, uint32_t clamp, double factor, double n, double mean, double m2, double prompt_mean,
                 double prompt_var, double *loc, double *scale);

#endif
