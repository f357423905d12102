// What reprise.h promises about threads: on one device or on two, threads get bit for bit the numbers that one thread alone gets.
// Built with RP_SANITIZE=thread too, which finds what is shared without a lock.
#include "case.h"

#include <pthread.h>

#include "loan.h"

enum { HORIZON = 20, PATHS = 3, MAX_THREADS = 4, ROUNDS = 4, NUMBERS = 6 * HORIZON * PATHS };

// What one thread forecasts; `id` makes it differ from the others'.
typedef struct job {
    const char *spec;              // a device of its own; NULL: `device`
    rp_device *device;
    rp_model *model;               // shared; NULL: its own
    uint32_t id, rounds;
    bool bars;
    bool wrong;                    // asks for what cannot be, in between
    float first[NUMBERS];          // the first round's samples
    uint32_t different;            // rounds that gave other numbers
    rp_status status;              // the first failure
    char text[256];
    pthread_barrier_t *start;      // NULL: the thread is alone
} job;

static rp_status forecast(const job *j, rp_forecaster *forecaster, float *samples) {
    float values[64];
    int64_t times[64];
    for (uint32_t i = 0; i < 64; i++) { values[i] = 10 + (float)((i * (j->id + 3)) % 7), times[i] = 60 * (int64_t)i; }
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = j->bars ? 3 : HORIZON, config.paths = PATHS, config.seed = j->id;
    result.samples = samples;
    if (j->bars) {
        rp_bars bars = RP_BARS_INIT;
        bars.open = bars.high = bars.low = bars.close = values, bars.times = times, bars.context = 24 + j->id;
        return rp_forecast_bars(forecaster, &bars, 1, &config, &result);
    }
    rp_series series = RP_SERIES_INIT;
    series.values = values, series.context = 32 + 8 * j->id;
    return rp_forecast(forecaster, &series, 1, &config, &result);
}

static rp_status create(const job *j, rp_model *model, rp_forecaster **out) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    sizes.max_context = 64, sizes.max_horizon = j->bars ? 3 : HORIZON, sizes.max_paths = PATHS;
    return rp_forecaster_create(model, &sizes, out);
}

// A forecaster asked for without a context, a forecast without a series: errors, while others go on.
static rp_status ask_wrongly(rp_model *model, rp_forecaster *forecaster) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecaster *none = NULL;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    if (rp_forecaster_create(model, &sizes, &none) != RP_INVALID_ARGUMENT || none != NULL) { return RP_INTERNAL; }
    return rp_forecast(forecaster, NULL, 0, &config, &result) == RP_INVALID_ARGUMENT ? RP_OK : RP_INTERNAL;
}

static rp_status work(job *j, rp_device **own_device, rp_model **own_model, rp_forecaster **forecaster) {
    float samples[NUMBERS] = { 0 };
    rp_model_info info = RP_MODEL_INFO_INIT;
    rp_device *device = j->device;
    rp_model *model = j->model;
    if (j->spec) {
        RP_RETURN(rp_device_create(j->spec, NULL, own_device));
        device = *own_device;
    }
    if (model == NULL) {
        RP_RETURN(rp_model_load(device, j->bars ? RP_GOLDEN_DIR "/kronos-tiny" : RP_GOLDEN_DIR "/toto-tiny", NULL, own_model));
        model = *own_model;
    }
    for (uint32_t round = 0; round < j->rounds; round++) {
        RP_RETURN(create(j, model, forecaster));
        RP_RETURN(forecast(j, *forecaster, samples));
        if (j->wrong && !j->bars) { RP_RETURN(ask_wrongly(model, *forecaster)); }
        RP_RETURN(forecast(j, *forecaster, samples));
        RP_RETURN(rp_model_copy_info(model, &info));
        if (round == 0) { memcpy(j->first, samples, sizeof samples); }
        j->different += memcmp(j->first, samples, sizeof samples) != 0;
        rp_forecaster_destroy(*forecaster);
        *forecaster = NULL;
    }
    return RP_OK;
}

static void *run(void *user) {
    job *j = user;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    if (j->start) { pthread_barrier_wait(j->start); }
    j->status = work(j, &device, &model, &forecaster);
    if (j->status != RP_OK) { rp_device_copy_error(device ? device : j->device, j->text, sizeof j->text); }
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return NULL;
}

// Each job alone, then all at once; the numbers must be the same.
static void alone_and_together(const job *jobs, uint32_t n) {
    job alone[MAX_THREADS], together[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, n), 0);
    for (uint32_t i = 0; i < n; i++) {
        alone[i] = together[i] = jobs[i];
        alone[i].rounds = 1, together[i].rounds = ROUNDS, together[i].start = &start;
        run(&alone[i]);
        if (alone[i].status != RP_OK) { fail_msg("alone: %s: %s", rp_status_name(alone[i].status), alone[i].text); }
    }
    for (uint32_t i = 0; i < n; i++) { assert_int_equal(pthread_create(&threads[i], NULL, run, &together[i]), 0); }
    for (uint32_t i = 0; i < n; i++) { pthread_join(threads[i], NULL); }
    pthread_barrier_destroy(&start);
    for (uint32_t i = 0; i < n; i++) {
        if (together[i].status != RP_OK) { fail_msg("together: %s: %s", rp_status_name(together[i].status), together[i].text); }
        assert_int_equal(together[i].different, 0);
        assert_memory_equal(alone[i].first, together[i].first, sizeof alone[i].first);
    }
    for (uint32_t i = 1; i < n; i++) {   // or the comparison would say little
        assert_memory_not_equal(alone[0].first, alone[i].first, sizeof alone[0].first);
    }
}

static void one_device_one_model(void **state) {
    rp_device *device = test_device_of(state);
    rp_model *model;
    test_ok(device, rp_model_load(device, RP_GOLDEN_DIR "/toto-tiny", NULL, &model), "load");
    alone_and_together((const job[]){ { .device = device, .model = model, .id = 1 }, { .device = device, .model = model, .id = 2 },
                                      { .device = device, .model = model, .id = 3, .wrong = true } }, 3);
    rp_model_destroy(model);
    assert_int_equal(device->counters.buffer_bytes, 0);
}

static void one_device_models_of_both_families(void **state) {
    rp_device *device = test_device_of(state);
    alone_and_together((const job[]){ { .device = device, .id = 1 }, { .device = device, .id = 2, .bars = true } }, 2);
    assert_int_equal(device->counters.buffer_bytes, 0);
}

static void two_devices(void **state) {
    const test_device *d = *state;
    test_need(d);
    alone_and_together((const job[]){ { .spec = d->spec, .id = 1 }, { .spec = d->spec, .id = 2, .bars = true } }, 2);
}

static void with_the_reference_beside(void **state) {
    const test_device *d = *state;
    test_need(d);
    alone_and_together((const job[]){ { .spec = d->spec, .id = 1 }, { .spec = "ref", .id = 2 }, { .device = d->device, .id = 3 } }, 3);
}

// ---- results that are lent: their holders' deleters ----

enum { LOANS = 64 };

static rp_loan *lend(rp_device *device, rp_loan **place) {
    RP_HOLD(device);
    rp_buffer *buffer;
    rp_loan *loan = rp_loan_create(device, place);
    assert_non_null(loan);
    assert_int_equal(device->backend->buffer_create(device, 256, RP_MEMORY_DEVICE, &buffer), RP_OK);
    rp_loan_leave(loan, buffer);
    return loan;
}

static void *return_it(void *loan) {
    rp_loan_return(loan);
    return NULL;
}

static void *return_all(void *loans) {
    for (int i = 0; i < LOANS; i++) { rp_loan_return(((rp_loan **)loans)[i]); }
    return NULL;
}

// While a call is under way on another thread, which is how a collector of garbage may meet a progress callback.
static void a_deleter_waits_for_nobody(void **state) {
    rp_device *device = test_device_of(state);
    pthread_t thread;
    rp_loan *place = NULL, *loan = lend(device, &place);
    rp_device_info info = RP_DEVICE_INFO_INIT;
    {
        RP_HOLD(device);
        assert_int_equal(pthread_create(&thread, NULL, return_it, loan), 0);
        pthread_join(thread, NULL);
        assert_int_equal(device->counters.buffer_bytes, 256);
    }
    test_ok(device, rp_device_copy_info(device, &info), "the next call");
    assert_int_equal(device->counters.buffer_bytes, 0);
    assert_null(device->loans);
    loan = lend(device, &place);                   // and where nothing is under way its memory goes at once
    assert_int_equal(pthread_create(&thread, NULL, return_it, loan), 0);
    pthread_join(thread, NULL);
    assert_int_equal(device->counters.buffer_bytes, 0);
}

static void deleters_while_the_device_goes(void **state) {
    const test_device *d = *state;
    test_need(d);
    for (int round = 0; round < 20; round++) {
        rp_device *device;
        rp_loan *loans[LOANS], *places[LOANS];
        pthread_t thread;
        assert_int_equal(rp_device_create(round ? "ref" : d->spec, NULL, &device), RP_OK);
        for (int i = 0; i < LOANS; i++) { loans[i] = lend(device, &places[i]); }
        assert_int_equal(pthread_create(&thread, NULL, return_all, loans), 0);
        rp_device_destroy(device);
        pthread_join(thread, NULL);                // the sanitizers see what is touched too late, freed twice or never
    }
}

static void *list(void *user) {
    rp_device_list *devices = NULL;
    (void)user;
    if (rp_device_list_create(&devices) != RP_OK) { return NULL; }
    const uintptr_t n = rp_device_list_count(devices);
    rp_device_list_destroy(devices);
    return (void *)n;
}

static void lists_at_once(void **state) {
    (void)state;
    pthread_t threads[MAX_THREADS];
    const void *want = list(NULL);
    assert_non_null(want);
    for (int i = 0; i < MAX_THREADS; i++) { assert_int_equal(pthread_create(&threads[i], NULL, list, NULL), 0); }
    for (int i = 0; i < MAX_THREADS; i++) {
        void *got;
        pthread_join(threads[i], &got);
        assert_ptr_equal(got, want);
    }
}

int main(void) {
    const test_named tests[] = {
        { "one device, one model", one_device_one_model },
        { "one device, models of both families", one_device_models_of_both_families },
        { "two devices", two_devices },
        { "two devices, one of them the reference", with_the_reference_beside },
        { "a deleter waits for nobody", a_deleter_waits_for_nobody },
        { "deleters while the device goes", deleters_while_the_device_goes },
        { "lists of devices at once", lists_at_once },
    };
    return test_on_each_device("threads", tests, sizeof tests / sizeof *tests);
}
