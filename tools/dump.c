// reprise dump: a model's graphs as text or DOT, and where their activations lie.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "family.h"
#include "options.h"
#include "session.h"

#define MAX_PLANS 16

static void print_shape(const rp_tensor *t) {
    printf("%s[", rp_dtype_name(t->dtype));
    for (uint32_t i = 0; i < t->n_dims; i++) { printf("%s%u", i ? "," : "", t->shape[i]); }
    printf("]");
}

static void print_tensor(const rp_tensor *t) {
    if (t == NULL) {
        printf("-");
        return;
    }
    if (t->buffer == NULL) {
        printf("@%" PRIu64 " ", t->offset);    // its place in the activation buffer
    } else {
        printf("'%s' ", t->name);
    }
    print_shape(t);
}

static void print_node(const rp_plan *plan, uint32_t i) {
    const rp_node *node = &plan->graph->nodes[i];
    const rp_launch *launch = &plan->launches[i];
    const rp_op_info *op = &rp_op_table[node->op];
    printf("%4u %-14s %-26s grid %ux%ux%u of %u, %" PRIu64 " bytes, %" PRIu64 " flops, after", i, op->name, node->label,
           launch->grid[0], launch->grid[1], launch->grid[2], launch->group, plan->costs[i].bytes, plan->costs[i].flops);
    for (uint32_t d = 0; d < plan->n_deps[i]; d++) { printf(" %u", plan->deps[i][d]); }
    printf("%s\n       %s(", plan->n_deps[i] ? "" : " nothing", launch->kernel);
    for (uint32_t j = 0; j < op->n_in; j++) {
        printf("%s", j ? ", " : "");
        print_tensor(node->in[j]);
    }
    printf(") -> ");
    for (uint32_t j = 0; j < op->n_out; j++) {
        printf("%s", j ? ", " : "");
        print_tensor(node->out[j]);
    }
    printf("\n");
}

static void print_text(const rp_plan *plan) {
    printf("graph '%s': %u nodes, %.3f MB of activations, %.3f MB moved, %.3f GFLOP\n", plan->name, plan->n_launches,
           (double)plan->activation_bytes * 1e-6, (double)plan->cost.bytes * 1e-6, (double)plan->cost.flops * 1e-9);
    for (uint32_t i = 0; i < plan->n_launches; i++) { print_node(plan, i); }
    printf("\n");
}

// What stays from one replay to the next, weights aside: caches, positions, results. A node's lie beside it: on the left what it
// reads of them, on the right what it writes.
static void print_state(const rp_plan *plan, uint32_t i, bool written, const rp_buffer *weights) {
    const rp_node *node = &plan->graph->nodes[i];
    const rp_op_info *op = &rp_op_table[node->op];
    rp_tensor *const *tensors = written ? node->out : node->in;
    const char *side = written ? "out" : "in";
    uint32_t n = 0;
    for (uint32_t j = 0; j < (written ? op->n_out : op->n_in); j++) {
        const rp_tensor *t = tensors[j];
        if (t == NULL || t->buffer == NULL || t->buffer == weights) { continue; }
        if (n++ == 0) { printf("  %s%u [shape=plaintext, fontcolor=gray30, label=\"", side, i); }
        printf("%s\\n", t->name);
    }
    if (n == 0) { return; }
    printf("\"];\n  { rank=same; %s%u; n%u; }\n", side, i, i);
    if (written) {
        printf("  n%u -> out%u [style=dashed];\n", i, i);
    } else {
        printf("  in%u -> n%u [style=dashed];\n", i, i);
    }
}

static void print_dot(const rp_plan *plan, const rp_buffer *weights) {
    printf("digraph \"%s\" {\n  ranksep=0.25;\n  node [shape=box, fontname=\"sans\"];\n", plan->name);
    for (uint32_t i = 0; i < plan->n_launches; i++) {
        const rp_node *node = &plan->graph->nodes[i];
        printf("  n%u [label=\"%s\\n%s\\n", i, node->label, plan->launches[i].kernel);
        if (node->out[0] != NULL) { print_shape(node->out[0]); }
        printf("\"];\n");
        for (uint32_t d = 0; d < plan->n_deps[i]; d++) { printf("  n%u -> n%u [weight=10];\n", plan->deps[i][d], i); }
        print_state(plan, i, false, weights);
        print_state(plan, i, true, weights);
    }
    printf("}\n");
}

static void print_memory(const rp_plan *plan) {
    uint64_t sum = 0;
    printf("memory plan of '%s': one buffer of %" PRIu64 " bytes\n%12s %12s  %11s  tensor\n", plan->name, plan->activation_bytes,
           "from", "to", "nodes");
    for (uint32_t i = 0; i < plan->graph->n_tensors; i++) {
        const rp_tensor *t = plan->graph->tensors[i];
        if (t->buffer != NULL || t->first == UINT32_MAX) { continue; }
        sum += t->whole != NULL ? 0 : rp_tensor_bytes(t);
        printf("%12" PRIu64 " %12" PRIu64 "  %4u .. %4u  %s ", t->offset, t->offset + rp_tensor_bytes(t), t->first, t->last, t->name);
        print_shape(t);
        printf("\n");
    }
    printf("without sharing it would be %" PRIu64 " bytes\n\n", sum);
}

int command_dump(int argc, char **argv) {
    const char *folder = NULL, *device = "ref", *format = "text", *graph = NULL;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 512, config.max_horizon = 96, config.variates = 1, config.max_batch = 1, config.max_paths = 256;
    const option rows[] = {
        { "model", OPTION_TEXT, &folder, "DIR", "the model's folder", NULL, true },
        { "device", OPTION_TEXT, &device, "D", "whose plan to print: cuda[:N], vulkan[:N], auto or ref (default)", NULL, false },
        { "format", OPTION_CHOICE, &format, "F", "text (default), dot, or memory for the plan of activations", "text|dot|memory", false },
        { "graph", OPTION_TEXT, &graph, "NAME", "only this one: prompt, start, step, collect, \"start, mean\", \"step, mean\";\nof Toto 2.0 prompt, round, \"last round\", collect", NULL, false },
        { "context", OPTION_COUNT, &config.max_context, "N", "time steps (default 512)", NULL, false },
        { "horizon", OPTION_COUNT, &config.max_horizon, "H", "time steps (default 96)", NULL, false },
        { "variates", OPTION_COUNT, &config.variates, "V", "of each series (default 1)", NULL, false },
        { "batch", OPTION_COUNT, &config.max_batch, "B", "series (default 1)", NULL, false },
        { "samples", OPTION_COUNT, &config.max_paths, "S", "paths (default 256)", NULL, false },
        { "block", OPTION_COUNT, &config.block, "N", "Toto 2.0: time steps predicted in one pass (default: all)", NULL, false },
    };
    const option_set set = { "dump", "--model DIR [options]",
                             "Prints the graphs that a forecast replays: nodes, shapes, launches, dependencies, bytes and operations.\n",
                             "  reprise dump --model models/demo-toto --graph step --format dot | dot -Tsvg > step.svg\n",
                             rows, sizeof rows / sizeof *rows };
    size_t n_rest = 0;
    int early = options_parse(&set, argc, argv, NULL, 0, &n_rest);
    if (early >= 0) { return early; }
    session s;
    if (!session_open(device, NULL, folder, &s)) { return EXIT_FAILED; }
    rp_forecaster *forecaster = NULL;
    rp_status status = rp_forecaster_create(s.model, &config, &forecaster);
    uint32_t printed = 0;
    if (status == RP_OK) {
        const rp_plan *plans[MAX_PLANS];
        const uint32_t n = s.model->family->plans(forecaster, plans, MAX_PLANS);
        for (uint32_t i = 0; i < n; i++) {
            if (graph != NULL && strcmp(graph, plans[i]->name) != 0) { continue; }
            strcmp(format, "dot") == 0 ? print_dot(plans[i], s.model->weights) : strcmp(format, "memory") == 0 ? print_memory(plans[i]) : print_text(plans[i]);
            printed++;
        }
        if (printed == 0) { complain("there is no graph '%s' for these sizes", graph); }
    } else {
        session_complain(s.device, status);
    }
    rp_forecaster_destroy(forecaster);
    session_close(&s);
    return printed > 0 ? EXIT_DONE : EXIT_FAILED;
}
