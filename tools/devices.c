// `reprise devices`: what a forecast can run on here, and why nothing else can be used.
#include <stdio.h>

#include "command.h"
#include "options.h"
#include "session.h"

static void print_device(const rp_device_info *d) {
    if (!d->available) {
        printf("%-12s absent: %s\n", d->spec, d->detail[0] ? d->detail : "no reason was given");
        return;
    }
    static const char *const kinds[] = { "reference", "CPU", "GPU" };
    char memory[32] = "the host's memory";
    if (d->memory_bytes) { format_bytes(d->memory_bytes, memory, sizeof memory); }
    printf("%-12s %s\n%-12s %s, %s, %s\n", d->spec, d->name, "", (size_t)d->kind < 3 ? kinds[d->kind] : "?", memory,
           d->mixed ? "mixed precision on matrix units" : "f32 only");
    if (d->detail[0]) { printf("%-12s %s\n", "", d->detail); }
}

int command_devices(int argc, char **argv) {
    const option_set set = {
        "devices", "", "Lists the devices in the order in which '--device auto' tries them, and each backend that is\n"
                       "absent with the reason.\n",
        "  reprise devices\n", NULL, 0,
    };
    int result = options_parse(&set, argc, argv, NULL, 0, NULL);
    if (result >= 0) { return result; }
    rp_device_list *list = NULL;
    rp_status status = rp_device_list_create(&list);
    if (status != RP_OK) {
        session_complain(NULL, status);
        return EXIT_FAILED;
    }
    result = EXIT_DONE;
    for (uint32_t i = 0; i < rp_device_list_count(list); i++) {
        rp_device_info info = RP_DEVICE_INFO_INIT;
        status = rp_device_list_copy(list, i, &info);
        if (status == RP_OK) {
            print_device(&info);
        } else {
            session_complain(NULL, status);
            result = EXIT_FAILED;
        }
    }
    rp_device_list_destroy(list);
    return result;
}
