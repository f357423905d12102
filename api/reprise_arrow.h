// reprise_arrow.h: forecasts from columns of Arrow tables (PyArrow, Polars, DuckDB, nanoarrow, ..), through the Arrow C data
// interface. reprise.h says all else.
//
// Arrays and schemas are taken over: whatever a call returns, it has released each of them once, and their `release` is NULL (only
// where a struct_size is wrong nothing has been touched). A column without missing values that has the type which the model takes
// is read where it is; others are converted on their way.
#ifndef REPRISE_ARROW_H
#define REPRISE_ARROW_H

#include "reprise.h"

#ifdef __cplusplus
extern "C" {
#endif

// As the Arrow specification gives them, with its guard, so that Arrow's own abi.h may stand beside them.
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

// ---- columns: Arrow ----

// One series: a struct of columns (a record batch), or one column. Columns are numbers: float16, float32, float64, integers of 8 to
// 64 bits, bool. A null and a NaN are missing values.
typedef struct rp_arrow_series {
    size_t struct_size;
    struct ArrowSchema *schema;           // of the array; released with it
    struct ArrowArray *array;             // T rows
    const char *const *columns;           // [V]: names of the variates; NULL = every column that is a number, as they come
    struct ArrowSchema *future_schema;    // with future: the known future of the last `exogenous` variates, found by the
    struct ArrowArray *future;            // names in `columns`, or as they come; H rows at least. NULL where there is none
    const int32_t *group_ids;             // [V], as in rp_series; borrowed
    uint32_t id;                          // as in rp_series
} rp_arrow_series;
#define RP_ARROW_SERIES_INIT RP_INIT(rp_arrow_series)

// rp_forecast with columns.
//   series   [n_series], n_series <= max_batch; taken over, see above
//   result   as in rp_forecast
// Errors:    as rp_forecast, and INVALID_ARGUMENT for an array or schema that is not what it should be (the sentence names it),
//            UNSUPPORTED for a column whose type is no number, NOT_FOUND for a column that is not there, OUT_OF_MEMORY
RP_API RP_CHECKED rp_status rp_forecast_arrow(rp_forecaster *forecaster, rp_arrow_series *series, uint32_t n_series,
                                              const rp_forecast_config *config, rp_forecast_result *result);

// One series of price bars: a struct of columns. Bars have no missing values.
typedef struct rp_arrow_bars {
    size_t struct_size;
    struct ArrowSchema *schema;           // of the array; released with it
    struct ArrowArray *array;             // T rows
    const char *open, *high, *low, *close; // names of the columns; NULL = "open", "high", "low", "close"
    const char *volume, *amount;          // NULL = "volume" and "amount", where there are such columns
    const char *time;                     // NULL = the one column of timestamps or dates. Also int64, in seconds, where named.
                                          // Timestamps count by the exchange's clock: without a zone, or in UTC where that is it
    struct ArrowSchema *future_schema;    // with future: the times ahead, a struct with the column `time`, or that one column;
    struct ArrowArray *future;            // H rows at least. NULL = continued at the last spacing
    uint32_t id;                          // as in rp_bars
} rp_arrow_bars;
#define RP_ARROW_BARS_INIT RP_INIT(rp_arrow_bars)

// rp_forecast_bars with columns; all else as rp_forecast_arrow.
RP_API RP_CHECKED rp_status rp_forecast_bars_arrow(rp_forecaster *forecaster, rp_arrow_bars *bars, uint32_t n_series,
                                                   const rp_forecast_config *config, rp_forecast_result *result);

#ifdef __cplusplus
}
#endif
#endif
