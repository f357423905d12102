// Two devices walked side by side: that every op has a rule, that a sound pair is within tolerance, that a fault planted in one
// kernel is found at its node, and that a forecast walked is the forecast that is run.
#include "case.h"

#include "../tools/walk.h"

static const char *const models[] = { RP_SOURCE_DIR "/models/demo-toto", RP_SOURCE_DIR "/models/demo-kronos",
                                      RP_GOLDEN_DIR "/toto2-tiny-alternating" };

typedef struct pair {
    walk w;
    rp_model *model[2];
    sample input[2];
} pair;

static void pair_open(pair *p, const char *a, const char *b, const char *folder, sample_sizes sizes) {
    const char *const specs[2] = { a, b };
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    config.precision = RP_PRECISION_F32;
    *p = (pair){ 0 };
    for (uint32_t d = 0; d < 2; d++) { test_ok(p->w.device[d], walk_open(&p->w, d, specs[d], RP_PRECISION_F32), specs[d]); }
    for (uint32_t d = 0; d < 2; d++) {
        test_ok(p->w.device[d], rp_model_load(p->w.device[d], folder, &config, &p->model[d]), folder);
        sample_make(p->model[d], sizes, &p->input[d]);
        test_ok(p->w.device[d], sample_forecaster(&p->input[d], p->model[d], &p->w.forecaster[d]), "forecaster");
    }
}

static void pair_close(pair *p) {
    walk_free(&p->w);
    for (uint32_t d = 0; d < 2; d++) {
        rp_forecaster_destroy(p->w.forecaster[d]);
        rp_model_destroy(p->model[d]);
        assert_int_equal(p->w.device[d]->counters.buffer_bytes, 0);
        rp_device_destroy(p->w.device[d]);
        sample_free(&p->input[d]);
    }
}

static void every_op_has_a_rule(void **state) {
    (void)state;
    for (uint32_t op = 0; op < RP_OP_COUNT; op++) {
        if (!tolerance_known((rp_op)op)) { fail_msg("'%s' sums, so it needs a rule in tools/tolerance.c", rp_op_table[op].name); }
    }
}

// What the two devices gave is what they give when they are asked alone.
static void same_as_alone(pair *p) {
    for (uint32_t d = 0; d < 2; d++) {
        const sample *s = &p->input[d];
        sample again;
        rp_forecaster *forecaster;
        sample_sizes sizes = s->sizes;
        if (s->quantiles > 0) { sizes.paths = 1; }   // which asks for quantiles
        sample_make(p->model[d], sizes, &again);
        test_ok(p->w.device[d], sample_forecaster(&again, p->model[d], &forecaster), "forecaster");
        test_ok(p->w.device[d], sample_forecast(&again, forecaster), "forecast");
        const size_t n = (size_t)s->sizes.variates * s->sizes.horizon;
        assert_memory_equal(s->mean, again.mean, n * sizeof *s->mean);
        if (s->paths) { assert_memory_equal(s->paths, again.paths, s->n_paths * sizeof *s->paths); }
        rp_forecaster_destroy(forecaster);
        sample_free(&again);
    }
}

static void sound_devices_agree(void **state) {
    const test_device *device = *state;
    test_need(device);
    for (size_t m = 0; m < TEST_COUNT(models); m++) {
        for (uint32_t paths = 0; paths <= 3; paths += 3) {
            pair p;
            pair_open(&p, "ref", device->device->info.spec, models[m], (sample_sizes){ .context = 33, .paths = paths, .seed = 5, .block = 8 });
            if (!walk_run(&p.w, &p.input[0], &p.input[1])) { fail_msg("%s: %s", models[m], p.w.error.text); }
            assert_true(p.w.n_nodes > 60);
            if (p.w.failed > 0) {
                const walk_node *n = &p.w.nodes[p.w.first_failed];
                fail_msg("%s on %s: '%s' (%s) of '%s' is off by %g of its tolerance: %.9g, reference %.9g", models[m],
                         device->device->info.spec, n->label, n->op, n->plan, n->ratio, n->got, n->ref);
            }
            same_as_alone(&p);
            pair_close(&p);
        }
    }
}

// The backend of a device whose third linear of the prompt is a little off in its last number.
static rp_backend faulty;
static const rp_backend *sound;
static uint32_t n_linear;

static rp_status run_with_a_fault(rp_device *device, const rp_plan *plan) {
    RP_RETURN(sound->run(device, plan));
    const rp_launch *launch = &plan->launches[0];
    if (plan->n_launches != 1 || launch->op != RP_OP_LINEAR || ++n_linear != 6) { return RP_OK; }   // each node runs twice, own and apart
    const rp_binding *out = &launch->binding[launch->n_in];
    float x = 0;
    RP_RETURN(sound->read(out->buffer, out->offset + out->bytes - 4, RP_F32, &x, RP_F32, 1));
    x += 1e-2f;
    return sound->write(out->buffer, out->offset + out->bytes - 4, RP_F32, &x, RP_F32, 1);
}

static void a_fault_is_found_where_it_is(void **state) {
    const test_device *device = *state;
    test_need(device);
    pair p;
    pair_open(&p, "ref", device->device->info.spec, models[0], (sample_sizes){ .context = 33, .paths = 2 });
    sound = p.w.device[1]->backend;
    faulty = *sound;
    faulty.run = run_with_a_fault;
    n_linear = 0;
    p.w.device[1]->backend = &faulty;
    assert_true(walk_run(&p.w, &p.input[0], &p.input[1]));
    p.w.device[1]->backend = sound;
    assert_int_equal(p.w.failed, 1);
    const walk_node *n = &p.w.nodes[p.w.first_failed];
    assert_string_equal(n->op, "linear");
    assert_int_equal(n->failed, 1);
    uint32_t before = 0;
    for (size_t i = 0; i < p.w.first_failed; i++) { before += strcmp(p.w.nodes[i].op, "linear") == 0; }
    assert_int_equal(before, 2);
    pair_close(&p);
}

// A failed call on either device ends the walk with that device's sentence.
static rp_status run_out(rp_device *device, const rp_plan *plan) {
    (void)plan;
    return rp_fail(device, RP_DEVICE_LOST, "%s was unplugged.", device->info.spec);
}

static void failures_are_told(void **state) {
    const test_device *device = *state;
    test_need(device);
    for (uint32_t d = 0; d < 2; d++) {
        pair p;
        pair_open(&p, "ref", device->device->info.spec, models[0], (sample_sizes){ .context = 16 });
        sound = p.w.device[d]->backend;
        faulty = *sound;
        faulty.run = run_out;
        p.w.device[d]->backend = &faulty;
        assert_false(walk_run(&p.w, &p.input[0], &p.input[1]));
        p.w.device[d]->backend = sound;
        assert_non_null(strstr(p.w.error.text, "was unplugged"));
        pair_close(&p);
    }
}

int main(void) {
    static const test_named all[] = {
        { "every op has a rule", every_op_has_a_rule },
        { "sound devices agree", sound_devices_agree },
        { "a fault is found where it is", a_fault_is_found_where_it_is },
        { "failures are told", failures_are_told },
    };
    return test_on_each_device("walk", all, TEST_COUNT(all));
}
