// The figures of `reprise bench` for people; bench_json.c has them for programs.
#include <inttypes.h>
#include <stdio.h>

#include "bench.h"

static const char *bytes_text(uint64_t bytes, char *buf, size_t cap) {
    format_bytes(bytes, buf, cap);
    return buf;
}
#define BYTES(n) bytes_text(n, (char[32]){ 0 }, 32)

void bench_print_model(const bench_model *m) {
    printf("\n%s: %s (%s), %s\n", m->published->name, m->session.device_info.spec, m->session.device_info.name,
           precision_name(m->session.model_info.precision));
    printf("     device opened in %.1f ms, model loaded in %.1f ms; weights %s, at most %s while loading\n", m->open_ms, m->load_ms,
           BYTES(m->session.model_info.device_bytes), BYTES(m->load_peak_bytes));
}

static void print_check(const bench_model *m, const bench_result *r) {
    printf("     checked: two forecasts with the same bits, finite");
    if (r->checked) {
        printf("; %.2g standard deviations of the series from ref", r->error);
        if (r->bound > 0) { printf(", bound %.2g", r->bound); }
    } else if (m->reference.device == NULL) {
        printf("; not compared with ref");
    }
    printf("\n");
}

static void print_graphs(const bench_result *r) {
    printf("     %-14s %8s %6s %12s %12s %12s\n", "graph", "replays", "nodes", "MB each", "GFLOP each", "recorded ms");
    for (uint32_t i = 0; i < r->n_graphs; i++) {
        const bench_graph *g = &r->graphs[i];
        printf("     %-14s %8u %6u %12.3f %12.3f %12.2f\n", g->name, g->replays, g->nodes, (double)g->cost.bytes * 1e-6,
               (double)g->cost.flops * 1e-9, g->record_ms);
    }
}

static void print_ops(const bench_graph *g) {
    printf("     %s: one replay %.1f us, sum of its launches %.1f us\n", g->name, g->replay_us, g->ops_us);
    for (size_t i = 0; i < g->n_ops; i++) {
        const bench_op *op = &g->ops[i];
        const double us = op->us * op->count;
        printf("     %5.1f %% %4u x %-26s %-28s %10.2f us %9.1f GB/s %9.4g TFLOP/s\n", g->ops_us > 0 ? 100 * us / g->ops_us : 0, op->count,
               op->label, op->kernel, op->us, (double)op->cost.bytes / op->us * 1e-3, (double)op->cost.flops / op->us * 1e-6);
    }
}

void bench_print_row(const bench_model *m, const bench_result *r) {
    const bench_times *t = &r->ms;
    const double seconds = t->median * 1e-3, copied = (double)r->cost.bytes / seconds, multiplied = (double)r->cost.flops / seconds;
    printf("%-4s median %.3f ms, min %.3f, max %.3f, sigma/mean %.2f %%, of %u\n", r->row->name, t->median, t->min, t->max,
           100 * t->sigma / t->mean, t->n);
    printf("     created in %.1f ms, first forecast %.1f ms; with device and load %.1f ms\n", r->create_ms, r->first_ms, bench_to_first_ms(m, r));
    print_check(m, r);
    printf("     device memory: forecaster %s, peak with the weights %s\n", BYTES(r->forecaster_bytes), BYTES(r->peak_bytes));
    printf("     recordings %" PRIu64 ", after the first forecast %" PRIu64 "; buffers allocated after create %" PRIu64 "\n", r->recordings,
           r->rerecordings, r->allocations);
    printf("     %.4g GB at %.4g GB/s, %.1f %% of copying (%.4g); %.4g TFLOP at %.4g TFLOP/s, %.1f %% of products (%.4g)\n",
           (double)r->cost.bytes * 1e-9, copied * 1e-9, 100 * copied / m->rates.copy_bytes_per_s, m->rates.copy_bytes_per_s * 1e-9,
           (double)r->cost.flops * 1e-12, multiplied * 1e-12, 100 * multiplied / m->rates.matrix_flops_per_s,
           m->rates.matrix_flops_per_s * 1e-12);
    print_graphs(r);
    for (uint32_t i = 0; i < r->n_graphs; i++) {
        if (r->graphs[i].n_ops > 0) { print_ops(&r->graphs[i]); }
    }
    fflush(stdout);
}
