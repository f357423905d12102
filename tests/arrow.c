// Forecasts from Arrow columns, on every device: the bits of the plain call whatever the columns' types, offsets and nulls; times of
// every unit; each array and schema released once, whatever happens; descriptors that are refused.
#include "case.h"

#include "reprise_arrow.h"

#define TINY RP_GOLDEN_DIR "/toto-tiny"
#define KRONOS RP_GOLDEN_DIR "/kronos-tiny"
#define V 3u
#define T 37u
#define H 20u
#define S 4u

typedef struct fixture { rp_device *device; rp_model *model; rp_forecaster *forecaster; } fixture;

static fixture open_model(rp_device *device, const char *folder) {
    fixture x = { device, NULL, NULL };
    rp_model_config model = RP_MODEL_CONFIG_INIT;
    model.precision = RP_PRECISION_F32;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 48, config.max_horizon = H, config.max_batch = 2, config.max_paths = S;
    if (strcmp(folder, TINY) == 0) { config.variates = V; }
    test_ok(device, rp_model_load(device, folder, &model, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, &config, &x.forecaster), "create");
    return x;
}

static void close_it(fixture *x) {
    rp_forecaster_destroy(x->forecaster);
    rp_model_destroy(x->model);
}

static rp_forecast_config config_of(uint32_t exogenous) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = H, config.paths = S, config.seed = 7, config.exogenous = exogenous;
    return config;
}

// ---- a producer ----

#define MAX_COLUMNS 8

// A table on the heap: columns with their buffers. A release counts, and frees what the column owns.
typedef struct column {
    struct ArrowSchema schema;
    struct ArrowArray array;
    const void *buffers[2];
} column;
typedef struct table {
    struct ArrowSchema schema, *schemas[MAX_COLUMNS];
    struct ArrowArray array, *arrays[MAX_COLUMNS];
    const void *validity[1];
    column columns[MAX_COLUMNS];
    int schemas_released, arrays_released, n;
} table;

static void release_schema(struct ArrowSchema *s) {
    table *t = s->private_data;
    t->schemas_released++;
    s->release = NULL;
}
static void release_array(struct ArrowArray *a) {
    table *t = a->private_data;
    for (int i = 0; i < t->n; i++) { free((void *)(uintptr_t)t->columns[i].buffers[0]), free((void *)(uintptr_t)t->columns[i].buffers[1]); }
    free((void *)(uintptr_t)t->validity[0]);
    t->arrays_released++;
    a->release = NULL;
}

static void start(table *t, int64_t rows, int64_t offset) {
    memset(t, 0, sizeof *t);
    t->schema = (struct ArrowSchema){ .format = "+s", .name = "", .children = t->schemas, .release = release_schema, .private_data = t };
    t->array = (struct ArrowArray){ .length = rows, .offset = offset, .n_buffers = 1, .buffers = t->validity, .children = t->arrays,
                                    .release = release_array, .private_data = t };
}

static void ignore_schema(struct ArrowSchema *s) { s->release = NULL; }   // children go with their parent
static void ignore_array(struct ArrowArray *a) { a->release = NULL; }

// rows from `from` on are the column's; validity NULL: none missing, else [rows] bytes. Elements of `size` bytes; 0: bits.
static column *add(table *t, const char *name, const char *format, const void *data, size_t size, int64_t rows, int64_t offset, const uint8_t *valid) {
    column *c = &t->columns[t->n];
    const size_t length = (size_t)(rows + offset);
    unsigned char *copy = calloc(length + 8, size ? size : 1), *bits = valid ? malloc(length / 8 + 1) : NULL;
    assert_non_null(copy);
    if (size > 0) {
        memset(copy, 0x7e, (size_t)offset * size);                       // what lies before the offset is nobody's
        memcpy(copy + (size_t)offset * size, data, (size_t)rows * size);
    }
    for (int64_t i = 0; size == 0 && i < rows; i++) { copy[(offset + i) / 8] |= (unsigned char)((((const uint8_t *)data)[i] != 0) << (offset + i) % 8); }
    int64_t nulls = 0;
    if (bits != NULL) { memset(bits, 0x55, length / 8 + 1); }
    for (int64_t i = 0; valid != NULL && i < rows; i++) {
        const int64_t at = offset + i;
        bits[at / 8] = (unsigned char)((bits[at / 8] & ~(1 << at % 8)) | (valid[i] != 0) << at % 8);
        nulls += !valid[i];
    }
    c->buffers[0] = bits, c->buffers[1] = copy;
    c->schema = (struct ArrowSchema){ .format = format, .name = name, .flags = ARROW_FLAG_NULLABLE, .release = ignore_schema };
    c->array = (struct ArrowArray){ .length = rows, .offset = offset, .null_count = t->n % 2 ? nulls : nulls ? -1 : 0, .n_buffers = 2,
                                    .buffers = c->buffers, .release = ignore_array };
    t->schemas[t->n] = &c->schema, t->arrays[t->n] = &c->array;
    t->array.n_children = t->schema.n_children = ++t->n;
    return c;
}

static void expect_released(const table *t) { assert_true(t->schemas_released == 1 && t->arrays_released == 1); }

// ---- series ----

static float number(uint32_t v, uint32_t t) { return (float)((t * 7 + v * 5) % 23) + 8 * (float)v; }

typedef struct outcome { float samples[V * H * S]; } outcome;

static void plain(const fixture *x, const float *values, const uint8_t *mask, const float *future, uint32_t exogenous, outcome *out) {
    rp_series s = RP_SERIES_INIT;
    rp_forecast_config config = config_of(exogenous);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    s.values = values, s.mask = mask, s.future = future, s.context = T, s.id = 1;
    result.samples = out->samples;
    test_ok(x->device, rp_forecast(x->forecaster, &s, 1, &config, &result), "plain");
}

static void same(const fixture *x, rp_arrow_series *s, uint32_t exogenous, const outcome *want) {
    static outcome got;
    rp_forecast_config config = config_of(exogenous);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    s->id = 1, result.samples = got.samples;
    test_ok(x->device, rp_forecast_arrow(x->forecaster, s, 1, &config, &result), "arrow");
    assert_memory_equal(&got, want, sizeof got);
}

static size_t put_number(void *out, const char *format, float value) {
    const int64_t whole = (int64_t)value;
    const double wide = (double)value;
    switch (format[0]) {
    case 'e': rp_convert(out, RP_F16, &value, RP_F32, 1); return 2;
    case 'f': memcpy(out, &value, 4); return 4;
    case 'g': memcpy(out, &wide, 8); return 8;
    default: break;
    }
    const size_t size = strchr("cC", format[0]) ? 1 : strchr("sS", format[0]) ? 2 : strchr("iI", format[0]) ? 4 : 8;
    memcpy(out, &whole, size);
    return size;
}

// Every type, with offsets of the column and of the struct, with and without nulls, by name and as they come.
static void any_column(void **state) {
    static const char *const formats[] = { "f", "g", "e", "c", "C", "s", "S", "i", "I", "l", "L" };
    static const char *const names[] = { "a", "b", "c" };
    fixture x = open_model(test_device_of(state), TINY);
    static float values[V * T];
    static uint8_t mask[V * T], data[(T + 5) * 8], valid[T + 5];
    static outcome want[2];
    for (uint32_t i = 0; i < V * T; i++) { values[i] = number(i / T, i % T); }
    for (uint32_t i = 0; i < V * T; i++) { mask[i] = i % 7 != 3; }
    plain(&x, values, NULL, NULL, 0, &want[0]);
    plain(&x, values, mask, NULL, 0, &want[1]);
    assert_memory_not_equal(&want[0], &want[1], sizeof want[0]);
    for (size_t f = 0; f < TEST_COUNT(formats); f++) {
        for (int way = 0; way < 4; way++) {
            const bool nulls = way & 1, sliced = way & 2;
            const int64_t skip = sliced ? 5 : 0;
            table t;
            start(&t, T, skip);
            for (uint32_t k = 0; k < V; k++) {
                const uint32_t v = sliced ? V - 1 - k : k;               // by name in another order
                memset(data, 0x7e, sizeof data), memset(valid, 0, sizeof valid);
                const size_t size = put_number(data, formats[f], 0);
                for (uint32_t i = 0; i < T; i++) {
                    put_number(data + ((size_t)skip + i) * size, formats[f], values[v * T + i]);
                    valid[(size_t)skip + i] = mask[v * T + i];
                }
                add(&t, names[v], formats[f], data, size, T + skip, k * 3, nulls ? valid : NULL);
                if (k == 0) { add(&t, "when", "tss:", data, 1, T + skip, 0, NULL), add(&t, "text", "u", data, 1, T + skip, 0, NULL); }
            }
            rp_arrow_series s = RP_ARROW_SERIES_INIT;
            s.schema = &t.schema, s.array = &t.array, s.columns = sliced ? names : NULL;
            // What nulls hide is nobody's number: the plain call has its own there, so compare with zeros hidden.
            static float shown[V * T];
            for (uint32_t i = 0; i < V * T; i++) { shown[i] = nulls && !mask[i] ? 0 : values[i]; }
            outcome *w = &want[nulls];
            plain(&x, shown, nulls ? mask : NULL, NULL, 0, w);
            same(&x, &s, 0, w);
            expect_released(&t);
        }
    }
    close_it(&x);
}

// NaN, rows that the struct itself calls null, a bool, and one column alone.
static void missing_rows(void **state) {
    fixture x = open_model(test_device_of(state), TINY);
    static float values[V * T], holes[V * T];
    static uint8_t mask[V * T], flags[T];
    static outcome want;
    for (uint32_t i = 0; i < V * T; i++) {
        const uint32_t t = i % T;
        flags[t] = t % 3 == 1;
        mask[i] = t % 5 != 2 && !(i / T == 0 && t % 4 == 3);
        values[i] = !mask[i] ? 0 : i / T == 2 ? flags[t] : number(i / T, t);
        holes[i] = i / T == 0 && t % 4 == 3 ? NAN : number(i / T, t);
    }
    plain(&x, values, mask, NULL, 0, &want);
    table t;
    start(&t, T, 0);
    add(&t, "a", "f", holes, 4, T, 0, NULL), add(&t, "b", "f", holes + T, 4, T, 2, NULL), add(&t, "c", "b", flags, 0, T, 5, NULL);
    uint8_t *bits = calloc(T / 8 + 1, 1);
    assert_non_null(bits);
    for (uint32_t i = 0; i < T; i++) { bits[i / 8] |= (uint8_t)((i % 5 != 2) << i % 8); }
    t.validity[0] = bits, t.array.null_count = -1;
    rp_arrow_series s = RP_ARROW_SERIES_INIT;
    s.schema = &t.schema, s.array = &t.array;
    same(&x, &s, 0, &want);
    expect_released(&t);
    close_it(&x);

    x.device = test_device_of(state);
    rp_forecaster_config one = RP_FORECASTER_CONFIG_INIT;
    one.max_context = T, one.max_horizon = H, one.max_paths = S;
    test_ok(x.device, rp_model_load(x.device, TINY, NULL, &x.model), "load");
    test_ok(x.device, rp_forecaster_create(x.model, &one, &x.forecaster), "create");
    static outcome alone[2];
    rp_forecast_config config = config_of(0);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series p = RP_SERIES_INIT;
    p.values = holes + T, p.context = T, result.samples = alone[0].samples;
    test_ok(x.device, rp_forecast(x.forecaster, &p, 1, &config, &result), "plain");
    start(&t, T, 0);
    column *c = add(&t, "", "f", holes + T, 4, T, 3, NULL);
    c->schema.release = release_schema, c->schema.private_data = &t, c->array.release = release_array, c->array.private_data = &t;
    s.schema = &c->schema, s.array = &c->array, s.id = 0, result.samples = alone[1].samples;
    test_ok(x.device, rp_forecast_arrow(x.forecaster, &s, 1, &config, &result), "one column");
    assert_memory_equal(alone[0].samples, alone[1].samples, H * S * sizeof(float));
    expect_released(&t);
    close_it(&x);
}

static void known_future(void **state) {
    static const char *const names[] = { "a", "b", "c" };
    fixture x = open_model(test_device_of(state), TINY);
    static float values[V * T], future[2 * H], longer[2][H + 4];
    static outcome want;
    for (uint32_t i = 0; i < V * T; i++) { values[i] = number(i / T, i % T); }
    for (uint32_t i = 0; i < 2 * H; i++) { longer[i / H][i % H] = future[i] = (float)(i % 9); }
    plain(&x, values, NULL, future, 2, &want);
    for (int way = 0; way < 2; way++) {
        table t, f;
        start(&t, T, 0), start(&f, H + 4, 0);
        for (uint32_t v = 0; v < V; v++) { add(&t, names[v], "f", values + v * T, 4, T, v, NULL); }
        for (uint32_t e = 0; e < 2; e++) { add(&f, names[way ? 2 - e : 1 + e], "f", longer[way ? 1 - e : e], 4, H + 4, 7, NULL); }
        rp_arrow_series s = RP_ARROW_SERIES_INIT;
        s.schema = &t.schema, s.array = &t.array, s.future_schema = &f.schema, s.future = &f.array, s.columns = way ? names : NULL;
        same(&x, &s, 2, &want);
        expect_released(&t), expect_released(&f);
    }
    close_it(&x);
}

// ---- bars ----

#define BARS 30
static int64_t bar_time(int i) { return 1699920000 + 86400 * (int64_t)i; }   // days, so that dates can say them; one before 1970 below

typedef struct clock_kind { const char *format; int64_t units; size_t size; } clock_kind;

static void add_times(table *t, const char *name, const clock_kind *kind, int first, int rows, int64_t shift) {
    int64_t wide[BARS + H];
    int32_t narrow[BARS + H];
    for (int i = 0; i < rows; i++) {
        const int64_t seconds = bar_time(first + i) + shift;
        wide[i] = kind->units > 0 ? seconds * kind->units + (kind->units > 1 ? 999 % kind->units : 0) : seconds / 86400;   // and a fraction
        narrow[i] = (int32_t)wide[i];
    }
    add(t, name, kind->format, kind->size == 4 ? (const void *)narrow : wide, kind->size, rows, 3, NULL);
}

static void bars(void **state) {
    static const clock_kind kinds[] = {
        { "tss:", 1, 8 }, { "tsm:", 1000, 8 }, { "tsu:UTC", 1000000, 8 }, { "tsn:", 1000000000, 8 }, { "tdD", 0, 4 }, { "tdm", 1000, 8 }, { "l", 1, 8 },
    };
    fixture x = open_model(test_device_of(state), KRONOS);
    static float columns[6][BARS], want[6 * H * S], got[6 * H * S];
    static int64_t times[BARS], ahead[H];
    for (int i = 0; i < BARS; i++) {
        const float close = 20 + (float)((i * 7) % 11) / 4;
        const float row[] = { close - 0.25f, close + 0.5f, close - 0.5f, close, (float)(1000 + i % 90), (float)(20000 + 8 * i) };
        for (int c = 0; c < 6; c++) { columns[c][i] = row[c]; }
    }
    for (size_t k = 0; k < TEST_COUNT(kinds); k++) {
        // Before 1970 too, where a fraction of a second must not round up.
        const int64_t shift = k % 2 ? -1700006400 - 86400 * 400 : 0;
        rp_bars p = RP_BARS_INIT;
        for (int i = 0; i < BARS; i++) { times[i] = bar_time(i) + shift; }
        for (uint32_t i = 0; i < H; i++) { ahead[i] = bar_time(BARS + (int)i) + shift; }
        p.open = columns[0], p.high = columns[1], p.low = columns[2], p.close = columns[3], p.times = times, p.context = BARS;
        p.future_times = k == 0 ? NULL : ahead;
        if (k != 1) { p.volume = columns[4], p.amount = columns[5]; }
        rp_forecast_config config = config_of(0);
        rp_forecast_result result = RP_FORECAST_RESULT_INIT;
        result.samples = want;
        test_ok(x.device, rp_forecast_bars(x.forecaster, &p, 1, &config, &result), "plain");
        table t, f;
        start(&t, BARS, 0), start(&f, H, 0);
        rp_arrow_bars s = RP_ARROW_BARS_INIT;
        const bool named = kinds[k].format[0] == 'l';
        if (named) { s.time = "clock", s.close = "last"; }
        add_times(&t, named ? "clock" : "time", &kinds[k], 0, BARS, shift);
        static const char *const usual[] = { "open", "high", "low", "close", "volume", "amount" };
        for (int c = 0; c < (k == 1 ? 4 : 6); c++) { add(&t, named && c == 3 ? "last" : usual[c], "f", columns[c], 4, BARS, c, NULL); }
        s.schema = &t.schema, s.array = &t.array;
        if (k > 0) {
            add_times(&f, named ? "clock" : "", &kinds[k], BARS, H, shift);
            s.future_schema = &f.schema, s.future = &f.array;
        }
        result.samples = got;
        test_ok(x.device, rp_forecast_bars_arrow(x.forecaster, &s, 1, &config, &result), kinds[k].format);
        assert_memory_equal(got, want, sizeof got);
        expect_released(&t);
        if (k > 0) { expect_released(&f); }
    }
    close_it(&x);
}

// ---- what is refused ----

typedef struct attempt { table t, f; rp_arrow_series s; rp_forecast_config config; const char *names[V]; } attempt;

static void a_released_array(attempt *a) { release_array(&a->t.array); }
static void a_released_schema(attempt *a) { release_schema(&a->t.schema); }
static void no_array(attempt *a) { release_array(&a->t.array), a->s.array = NULL; }
static void no_schema(attempt *a) { release_schema(&a->t.schema), a->s.schema = NULL; }
static void no_format(attempt *a) { a->t.schema.format = NULL; }
static void fewer_rows(attempt *a) { a->t.array.length = -1; }
static void behind_all(attempt *a) { a->t.array.offset = INT64_MAX; }
static void before_all(attempt *a) { a->t.columns[1].array.offset = -3; }
static void far_column(attempt *a) { a->t.columns[1].array.offset = INT64_MAX - 2; }
static void no_rows(attempt *a) { a->t.array.length = 0; }
static void many_rows(attempt *a) { a->t.array.length = (int64_t)1 << 40; }
static void too_long(attempt *a) { a->t.array.length = 49; for (int i = 0; i < a->t.n; i++) { a->t.columns[i].array.length = 49; } }
static void fewer_nulls(attempt *a) { a->t.columns[0].array.null_count = -2; }
static void other_children(attempt *a) { a->t.array.n_children = 2; }
static void fewer_children(attempt *a) { a->t.array.n_children = a->t.schema.n_children = -1; }
static void lost_children(attempt *a) { a->t.array.children = NULL; }
static void lost_child(attempt *a) { a->t.arrays[1] = NULL; }
static void released_child(attempt *a) { a->t.columns[2].array.release = NULL; }
static void short_child(attempt *a) { a->t.columns[1].array.length = T - 1; }
static void one_buffer(attempt *a) { a->t.columns[1].array.n_buffers = 1; }
static void no_buffers(attempt *a) { a->t.columns[1].array.buffers = NULL; }
static void no_data(attempt *a) { free((void *)(uintptr_t)a->t.columns[1].buffers[1]), a->t.columns[1].buffers[1] = NULL; }
static void no_bitmap(attempt *a) { a->t.columns[1].array.null_count = 4; }
static void struct_without_bitmap(attempt *a) { a->t.array.null_count = 4; }
static void text(attempt *a) { a->t.columns[1].schema.format = "u"; }
static void named_text(attempt *a) { a->t.columns[1].schema.format = "d:10,2", a->s.columns = a->names; }
static void empty_format(attempt *a) { a->t.columns[1].schema.format = ""; }
static void dictionary(attempt *a) { a->t.columns[1].schema.dictionary = &a->t.schema; }
static void other_name(attempt *a) { a->names[1] = "nowhere", a->s.columns = a->names; }
static void no_name(attempt *a) { a->names[1] = NULL, a->s.columns = a->names; }
static void twice(attempt *a) { a->t.columns[1].schema.name = "a", a->s.columns = a->names; }
static void short_future(attempt *a) { a->f.array.length = H - 1; }
static void released_future(attempt *a) { release_array(&a->f.array); }
static void missing_future(attempt *a) { a->f.columns[0].array.null_count = 1, a->f.columns[0].buffers[0] = calloc(H, 1); }
static void absent_future(attempt *a) { release_array(&a->f.array), release_schema(&a->f.schema), a->s.future = NULL, a->s.future_schema = NULL; }
static void far_horizon(attempt *a) { a->config.horizon = UINT32_MAX; }
static void infinite(attempt *a) { ((float *)(uintptr_t)a->t.columns[0].buffers[1])[0] = INFINITY; }

static const struct { const char *name; void (*spoil)(attempt *); rp_status status; const char *says; } refusals[] = {
    { "a released array", a_released_array, RP_INVALID_ARGUMENT, "released already" },
    { "a released schema", a_released_schema, RP_INVALID_ARGUMENT, "released already" },
    { "no array", no_array, RP_INVALID_ARGUMENT, "one of them is NULL" },
    { "no schema", no_schema, RP_INVALID_ARGUMENT, "one of them is NULL" },
    { "no format", no_format, RP_INVALID_ARGUMENT, "no format" },
    { "a negative length", fewer_rows, RP_INVALID_ARGUMENT, "negative" },
    { "an offset behind all memory", behind_all, RP_INVALID_ARGUMENT, "beyond all memory" },
    { "a negative offset", before_all, RP_INVALID_ARGUMENT, "'b': its length or offset is negative" },
    { "a column behind all memory", far_column, RP_INVALID_ARGUMENT, "'b'" },
    { "no rows", no_rows, RP_INVALID_ARGUMENT, "no rows" },
    { "more rows than the columns have", many_rows, RP_INVALID_ARGUMENT, "shorter than the struct" },
    { "too long", too_long, RP_INVALID_ARGUMENT, "49 rows" },
    { "fewer than no nulls", fewer_nulls, RP_INVALID_ARGUMENT, "null_count" },
    { "other children", other_children, RP_INVALID_ARGUMENT, "number of children" },
    { "fewer than no children", fewer_children, RP_INVALID_ARGUMENT, "number of children" },
    { "lost children", lost_children, RP_INVALID_ARGUMENT, "children are NULL" },
    { "a lost child", lost_child, RP_INVALID_ARGUMENT, "one of them is NULL" },
    { "a released child", released_child, RP_INVALID_ARGUMENT, "released already" },
    { "a short child", short_child, RP_INVALID_ARGUMENT, "'b': it is shorter" },
    { "one buffer", one_buffer, RP_INVALID_ARGUMENT, "two buffers" },
    { "no buffers", no_buffers, RP_INVALID_ARGUMENT, "two buffers" },
    { "no data", no_data, RP_INVALID_ARGUMENT, "data is NULL" },
    { "nulls without a bitmap", no_bitmap, RP_INVALID_ARGUMENT, "'b': it has nulls" },
    { "a struct with nulls without a bitmap", struct_without_bitmap, RP_INVALID_ARGUMENT, "the struct has nulls" },
    { "a column of text", text, RP_INVALID_ARGUMENT, "2 columns of numbers where 3" },
    { "a decimal by name", named_text, RP_UNSUPPORTED, "\"d:10,2\"" },
    { "an empty format", empty_format, RP_INVALID_ARGUMENT, "2 columns of numbers" },
    { "a dictionary", dictionary, RP_INVALID_ARGUMENT, "2 columns of numbers" },
    { "another name", other_name, RP_NOT_FOUND, "it has 'a', 'b', 'c'" },
    { "no name", no_name, RP_INVALID_ARGUMENT, "name of column 1 is NULL" },
    { "one name twice", twice, RP_INVALID_ARGUMENT, "two of that name" },
    { "a short future", short_future, RP_INVALID_ARGUMENT, "the horizon is 20" },
    { "a released future", released_future, RP_INVALID_ARGUMENT, "Series 0, future" },
    { "a future with a gap", missing_future, RP_INVALID_ARGUMENT, "known future" },
    { "no future", absent_future, RP_INVALID_ARGUMENT, "no known future" },
    { "a far horizon", far_horizon, RP_INVALID_ARGUMENT, "4294967295" },
    { "an infinity", infinite, RP_INVALID_ARGUMENT, "inf" },
};

static void make(attempt *a) {
    static float values[V * T], future[H];
    static const char *const names[] = { "a", "b", "c" };
    for (uint32_t i = 0; i < V * T; i++) { values[i] = number(i / T, i % T); }
    start(&a->t, T, 0), start(&a->f, H, 0);
    for (uint32_t v = 0; v < V; v++) { add(&a->t, names[v], "f", values + v * T, 4, T, 0, NULL), a->names[v] = names[v]; }
    add(&a->f, "c", "f", future, 4, H, 0, NULL);
    a->s = (rp_arrow_series)RP_ARROW_SERIES_INIT;
    a->s.schema = &a->t.schema, a->s.array = &a->t.array, a->s.future_schema = &a->f.schema, a->s.future = &a->f.array;
    a->config = config_of(1);
}

static void hostile_arrays(void **state) {
    fixture x = open_model(test_device_of(state), TINY);
    static outcome out;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.samples = out.samples;
    static attempt a;
    for (size_t i = 0; i < TEST_COUNT(refusals); i++) {
        make(&a);
        refusals[i].spoil(&a);
        const rp_status status = rp_forecast_arrow(x.forecaster, &a.s, 1, &a.config, &result);
        if (status != refusals[i].status || strstr(x.device->error.text, refusals[i].says) == NULL) {
            fail_msg("%s: %s, \"%s\"", refusals[i].name, rp_status_name(status), x.device->error.text);
        }
        expect_released(&a.t), expect_released(&a.f);
    }
    // The call itself wrong: what was given is released all the same, but for a struct of another version.
    for (int way = 0; way < 5; way++) {
        make(&a);
        rp_arrow_series two[3] = { a.s, a.s, a.s };                      // one array in two series is released once
        const rp_status status = way == 0 ? rp_forecast_arrow(NULL, &a.s, 1, &a.config, &result)
                                 : way == 1 ? rp_forecast_arrow(x.forecaster, &a.s, 1, NULL, &result)
                                 : way == 2 ? rp_forecast_arrow(x.forecaster, &a.s, 1, &a.config, NULL)
                                 : way == 3 ? rp_forecast_arrow(x.forecaster, two, 3, &a.config, &result)
                                            : rp_forecast_arrow(x.forecaster, NULL, 1, &a.config, &result);
        assert_int_equal(status, RP_INVALID_ARGUMENT);
        if (way == 4) { release_array(&a.t.array), release_array(&a.f.array), release_schema(&a.t.schema), release_schema(&a.f.schema); }
        expect_released(&a.t), expect_released(&a.f);
    }
    make(&a);
    a.s.struct_size = 8;
    assert_int_equal(rp_forecast_arrow(x.forecaster, &a.s, 1, &a.config, &result), RP_INVALID_ARGUMENT);
    assert_true(a.t.arrays_released == 0);
    a.s.struct_size = sizeof a.s;
    rp_arrow_series twice_it[2] = { a.s, a.s };
    twice_it[1].id = 1;
    static float both[2 * V * H * S];
    result.samples = both;
    test_ok(x.device, rp_forecast_arrow(x.forecaster, twice_it, 2, &a.config, &result), "one array in two series");
    expect_released(&a.t), expect_released(&a.f);
    close_it(&x);
}

static void hostile_times(void **state) {
    static const clock_kind seconds = { "tss:", 1, 8 };
    static const struct { const char *format, *time; uint8_t null; rp_status status; const char *says; } wrong[] = {
        { "tss:Asia/Shanghai", NULL, 0, RP_UNSUPPORTED, "Asia/Shanghai" },
        { "tts", NULL, 0, RP_NOT_FOUND, "0 columns of timestamps" },
        { "l", NULL, 0, RP_NOT_FOUND, "0 columns of timestamps" },
        { "i", "time", 0, RP_UNSUPPORTED, "times are timestamps" },
        { "tss:", "when", 0, RP_NOT_FOUND, "no column 'when'" },
        { "tss:", NULL, 1, RP_INVALID_ARGUMENT, "no time in row 4" },
        { "tss:", NULL, 2, RP_INVALID_ARGUMENT, "bar 4: open is" },
        { "tss:", NULL, 3, RP_INVALID_ARGUMENT, "2 columns of timestamps" },
        { "tss:", NULL, 4, RP_NOT_FOUND, "no column 'open'" },
    };
    fixture x = open_model(test_device_of(state), KRONOS);
    static float price[BARS], out[6 * H * S];
    rp_forecast_config config = config_of(0);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.samples = out;
    for (int i = 0; i < BARS; i++) { price[i] = 10 + (float)(i % 3); }
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        static const char *const usual[] = { "open", "high", "low", "close" };
        table t;
        start(&t, BARS, 0);
        add_times(&t, "time", &seconds, 0, BARS, 0);
        for (int c = 0; c < 4; c++) { add(&t, wrong[i].null == 4 && c == 0 ? "Open" : usual[c], "f", price, 4, BARS, 0, NULL); }
        t.columns[0].schema.format = wrong[i].format;
        if (wrong[i].null == 1 || wrong[i].null == 2) {
            column *c = &t.columns[wrong[i].null - 1];
            uint8_t *bits = malloc(64);
            assert_non_null(bits);
            memset(bits, 255, 64);
            bits[(c->array.offset + 4) / 8] &= (uint8_t)~(1 << (c->array.offset + 4) % 8);
            c->buffers[0] = bits, c->array.null_count = 1;
        }
        if (wrong[i].null == 3) { add_times(&t, "again", &seconds, 0, BARS, 0); }
        rp_arrow_bars s = RP_ARROW_BARS_INIT;
        s.schema = &t.schema, s.array = &t.array, s.time = wrong[i].time;
        const rp_status status = rp_forecast_bars_arrow(x.forecaster, &s, 1, &config, &result);
        if (status != wrong[i].status || strstr(x.device->error.text, wrong[i].says) == NULL) {
            fail_msg("case %zu: %s, \"%s\"", i, rp_status_name(status), x.device->error.text);
        }
        expect_released(&t);
    }
    close_it(&x);
}

int main(void) {
    static const test_named all[] = {
        { "any column", any_column }, { "missing rows", missing_rows },     { "known future", known_future },
        { "bars", bars },             { "hostile arrays", hostile_arrays }, { "hostile times", hostile_times },
    };
    return test_on_each_device("arrow", all, TEST_COUNT(all));
}
