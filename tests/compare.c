// Element by element, written so that NaN fails.
#include "case.h"

void test_compare(test_score *score, const test_case *c, const char *mode, const test_result *got, const test_result *ref,
                  const test_result *magnitude) {
    double worst = -1, worst_tol = 0;
    uint64_t at = 0, failed = 0, compared = 0;
    uint32_t output = 0;
    const tolerance_case judged = test_judged(c);
    if (c->tolerance == NULL && !tolerance_known(c->op)) { fail_msg("%s: an op of column TOL_REDUCE needs a rule in tools/tolerance.c", c->name); }
    for (uint32_t o = 0; o < rp_op_table[c->op].n_out; o++) {
        for (uint64_t i = 0; i < ref->count[o]; i++) {
            const double r = ref->value[o][i], m = magnitude && magnitude->value[o] ? magnitude->value[o][i] : fabs(r);
            const double tol = c->tolerance ? c->tolerance(c, o, i, r, m) : tolerance_allowed(&judged, o, i, r, m);
            compared++;
            if (isinf(tol)) {
                score->ignored++;
                if (!isnan(got->value[o][i])) { continue; }
            }
            const double e = tolerance_ratio(got->value[o][i], r, tol);
            if (!(e <= 1)) { failed++; }
            if (!(e <= worst)) {
                if (!isnan(worst)) { worst = e, worst_tol = tol, at = i, output = o; }
            }
        }
    }
    score->compared += compared;
    score->failed += failed;
    if (compared > 0 && !(worst <= score->worst)) {
        score->worst = worst;
        snprintf(score->where, sizeof score->where, "%s, %s, output %u, index %llu", c->name, mode, output, (unsigned long long)at);
    }
    if (failed > 0) {
        printf("  FAIL %s '%s', %s: %llu of %llu out of tolerance, worst output %u index %llu: got %.9g, want %.9g, tol %.3g, "
               "err/tol %.3g\n", rp_op_table[c->op].name, c->name, mode, (unsigned long long)failed, (unsigned long long)compared,
               output, (unsigned long long)at, got->value[output][at], ref->value[output][at], worst_tol, worst);
    }
}

void test_same_bits(test_score *score, const test_case *c, const char *mode, const test_result *a, const test_result *b) {
    for (uint32_t o = 0; o < rp_op_table[c->op].n_out; o++) {
        for (uint64_t i = 0; i < a->count[o]; i++) {
            if (memcmp(&a->value[o][i], &b->value[o][i], sizeof(double)) == 0) { continue; }
            printf("  FAIL %s '%s', %s: other bits, output %u index %llu: %.17g instead of %.17g\n",
                   rp_op_table[c->op].name, c->name, mode, o, (unsigned long long)i, a->value[o][i], b->value[o][i]);
            score->failed++;
            return;
        }
    }
}
