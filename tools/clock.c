// Calendar arithmetic and the reading and writing of times; see clock.h.
#include "clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

// Days since 1970-01-01, after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": the year starts in March, so
// that the leap day is its last.
static int64_t days_from_civil(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = floor_div(year, 400), year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

civil civil_from_ms(int64_t ms) {
    int64_t days = floor_div(ms, DAY_MS), z = days + 719468;
    int64_t era = floor_div(z, 146097), day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (int)((5 * day_of_year + 2) / 153);
    civil out = { .day = (int)(day_of_year - (153 * month + 2) / 5 + 1), .month = month < 10 ? month + 3 : month - 9 };
    out.year = year_of_era + era * 400 + (out.month <= 2);
    out.ms_of_day = ms - days * DAY_MS;
    return out;
}

int64_t ms_from_civil(civil date) { return days_from_civil(date.year, date.month, date.day) * DAY_MS + date.ms_of_day; }

int days_in_month(int64_t year, int month) {
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

int weekday(int64_t ms) {
    int64_t day = floor_div(ms, DAY_MS) + 3;   // 1970-01-01 was a Thursday
    return (int)(day - floor_div(day, 7) * 7);
}

// Reads exactly `digits` digits and moves on.
static bool digits(const char **at, int count, int *out) {
    *out = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') { return false; }
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool read_zone(const char **at, clock_style *style) {
    if (**at == 0) { return true; }
    style->has_zone = true;
    if (**at == 'Z' || **at == 'z') {
        style->zulu = true;
        (*at)++;
        return true;
    }
    int sign = **at == '+' ? 1 : **at == '-' ? -1 : 0, hours, minutes;
    if (sign == 0) { return false; }
    (*at)++;
    if (!digits(at, 2, &hours)) { return false; }
    if (**at == ':') { (*at)++; }
    if (**at == 0) {
        minutes = 0;
    } else if (!digits(at, 2, &minutes)) {
        return false;
    }
    if (hours > 14 || minutes > 59) { return false; }
    style->zone_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool read_time_of_day(const char **at, clock_style *style, int64_t *ms) {
    int hour, minute, second = 0, fraction = 0;
    if (!digits(at, 2, &hour) || *(*at)++ != ':' || !digits(at, 2, &minute)) { return false; }
    style->detail = CLOCK_MINUTE;
    if (**at == ':') {
        (*at)++;
        if (!digits(at, 2, &second)) { return false; }
        style->detail = CLOCK_SECOND;
        if (**at == '.' || **at == ',') {
            (*at)++;
            int count = 0;
            for (; **at >= '0' && **at <= '9'; (*at)++, count++) {
                if (count < 3) { fraction = fraction * 10 + (**at - '0'); }   // finer than a millisecond is dropped
            }
            if (count == 0) { return false; }
            for (; count < 3; count++) { fraction *= 10; }
            if (fraction) { style->detail = CLOCK_MILLISECOND; }
        }
    }
    if (hour > 23 || minute > 59 || second > 60) { return false; }   // 60: a leap second
    *ms = ((int64_t)(hour * 60 + minute) * 60 + second) * 1000 + fraction;
    return true;
}

bool clock_parse(const char *text, int64_t *ms, clock_style *style) {
    const char *at = text;
    int year, month, day = 1;
    int64_t ms_of_day = 0;
    *style = (clock_style){ .detail = CLOCK_MONTH, .time_separator = ' ' };
    if (!digits(&at, 4, &year) || (*at != '-' && *at != '/')) { return false; }
    style->date_separator = *at++;
    if (!digits(&at, 2, &month) || month < 1 || month > 12) { return false; }
    if (*at == style->date_separator) {
        at++;
        if (!digits(&at, 2, &day) || day < 1 || day > days_in_month(year, month)) { return false; }
        style->detail = CLOCK_DAY;
        if (*at == ' ' || *at == 'T' || *at == 't') {
            style->time_separator = *at == ' ' ? ' ' : 'T';
            at++;
            if (!read_time_of_day(&at, style, &ms_of_day)) { return false; }
            if (*at == ' ' && at[1] != 0) { at++; }   // "2024-01-01 00:00:00 +01:00"
            if (!read_zone(&at, style)) { return false; }
        }
    }
    if (*at != 0) { return false; }
    *ms = days_from_civil(year, month, day) * DAY_MS + ms_of_day - style->zone_minutes * (int64_t)60000;
    return true;
}

bool clock_parse_number(const char *text, clock_detail detail, int64_t *ms) {
    size_t length = strlen(text);
    int64_t value = 0;
    if (length == 0 || length > 15) { return false; }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') { return false; }
        value = value * 10 + (text[i] - '0');
    }
    if (detail == CLOCK_COMPACT_DAY) {
        int year = (int)(value / 10000), month = (int)(value / 100 % 100), day = (int)(value % 100);
        if (length != 8 || year < 1500 || year > 2500 || month < 1 || month > 12) { return false; }
        if (day < 1 || day > days_in_month(year, month)) { return false; }
        *ms = days_from_civil(year, month, day) * DAY_MS;
        return true;
    }
    // From 1973 to 5138 by either count, so that the two cannot be mistaken for each other, nor a small number for a time.
    int64_t unit = detail == CLOCK_EPOCH_SECOND ? 1 : 1000;
    if (value < 100000000 * unit || value >= 100000000000 * unit) { return false; }
    *ms = value * (1000 / unit);
    return true;
}

void clock_print(int64_t ms, const clock_style *style, char *buf, size_t cap) {
    if (style->detail == CLOCK_EPOCH_SECOND || style->detail == CLOCK_EPOCH_MS) {
        snprintf(buf, cap, "%" PRId64, style->detail == CLOCK_EPOCH_MS ? ms : floor_div(ms, 1000));
        return;
    }
    civil c = civil_from_ms(ms + style->zone_minutes * (int64_t)60000);
    int seconds = (int)(c.ms_of_day / 1000);
    char date[48], time[32] = "", zone[16] = "";
    if (style->detail == CLOCK_COMPACT_DAY) {
        snprintf(date, sizeof date, "%04" PRId64 "%02d%02d", c.year, c.month, c.day);
    } else if (style->detail == CLOCK_MONTH) {
        snprintf(date, sizeof date, "%04" PRId64 "%c%02d", c.year, style->date_separator, c.month);
    } else {
        char s = style->date_separator;
        snprintf(date, sizeof date, "%04" PRId64 "%c%02d%c%02d", c.year, s, c.month, s, c.day);
    }
    if (style->detail == CLOCK_MINUTE || style->detail == CLOCK_SECOND || style->detail == CLOCK_MILLISECOND) {
        int n = snprintf(time, sizeof time, "%c%02d:%02d", style->time_separator, seconds / 3600, seconds / 60 % 60);
        if (style->detail != CLOCK_MINUTE) { n += snprintf(time + n, sizeof time - (size_t)n, ":%02d", seconds % 60); }
        if (style->detail == CLOCK_MILLISECOND) {
            snprintf(time + n, sizeof time - (size_t)n, ".%03d", (int)(c.ms_of_day % 1000));
        }
        int minutes = style->zone_minutes < 0 ? -style->zone_minutes : style->zone_minutes;
        if (style->zulu) {
            snprintf(zone, sizeof zone, "Z");
        } else if (style->has_zone) {
            snprintf(zone, sizeof zone, "%c%02d:%02d", style->zone_minutes < 0 ? '-' : '+', minutes / 60 % 100,
                     minutes % 60);
        }
    }
    snprintf(buf, cap, "%s%s%s", date, time, zone);
}
