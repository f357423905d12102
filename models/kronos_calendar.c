// Times as the model takes them.
#include "kronos.h"

#define DAY_SECONDS 86400

void kronos_stamp(int64_t time, uint32_t out[RP_BAR_STAMPS]) {
    int64_t day = time / DAY_SECONDS, second = time % DAY_SECONDS;
    if (second < 0) { day--, second += DAY_SECONDS; }
    int64_t weekday = (day + 3) % 7;                       // 1970-01-01 was a Thursday
    if (weekday < 0) { weekday += 7; }
    // Days from 0000-03-01, in eras of 400 years = 146097 days; years begin in March, so that the leap day is the last.
    const int64_t shifted = day + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const uint32_t in_era = (uint32_t)(shifted - era * 146097);
    const uint32_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const uint32_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const uint32_t month = (5 * in_year + 2) / 153;        // from March: five months are 153 days
    out[0] = (uint32_t)(second / 60 % 60);
    out[1] = (uint32_t)(second / 3600);
    out[2] = (uint32_t)weekday;
    out[3] = in_year - (153 * month + 2) / 5 + 1;
    out[4] = month < 10 ? month + 3 : month - 9;
}
