// The program `reprise`: finds the command and hands over to it.
#define _XOPEN_SOURCE 700   // SIGXFSZ
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "common.h"
#include "reference.h"
#include "reprise.h"

static const command commands[] = {
    { "forecast", command_forecast, "forecast the rows that follow a CSV file" },
    { "backtest", command_backtest, "forecast the past of CSV files and score it; compare with a baseline" },
    { "inspect", command_inspect, "what is in a model folder, and the memory it takes" },
    { "devices", command_devices, "the devices of this machine, and why others are absent" },
    { "verify", command_verify, "compare a device with recorded results of the original code" },
    { "doctor", command_doctor, "check drivers, devices, memory and models, and say what to do" },
    { "compare", command_compare, "compare two devices, node by node" },
    { "trace", command_trace, "write a forecast's timeline for trace viewers" },
    { "dump", command_dump, "print a model's graph: nodes, shapes, launches, lifetimes" },
    { "bench", command_bench, "time whole forecasts" },
    { "soak", command_soak, "forecast for a long time: equal results, no growing memory" },
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_version(void) {
    uint32_t v = rp_version();
    printf("reprise %u.%u.%u\n", v >> 16, (v >> 8) & 255, v & 255);
}

static void print_help(void) {
    printf("usage: reprise COMMAND [options]\n\nRuns time-series foundation models on NVIDIA GPUs (CUDA) and on any GPU or "
           "CPU (Vulkan).\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++) { printf("  %-12s%s\n", commands[i].name, commands[i].summary); }
    printf("\n  --version   the version of the library\n  --help      this page; after a command, that command's page\n"
           "\nexample:\n  reprise forecast --model models/demo-toto --input data/air_passengers.csv --horizon 24 --plot "
           "air.png\n  reprise forecast --model models/demo-kronos --input data/sse600977_5min.csv --context 168 --horizon 24\n");
}

int main(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN);   // a file beyond the limit (ulimit -f) is then a write error with its sentence
    if (argc < 2) {
        complain("which command? 'reprise --help' lists them");
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0) {
        print_version();
        return EXIT_DONE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (strcmp(word, "help") == 0 && argc == 2)) {
        print_help();
        return EXIT_DONE;
    }
    if (strcmp(word, "--reference") == 0 && argc == 3) {   // for the build
        return reference_write(commands, N_COMMANDS, argv[2]) ? EXIT_DONE : EXIT_FAILED;
    }
    char *help[] = { "--help" };
    bool wants_help = strcmp(word, "help") == 0;   // "reprise help forecast"
    if (wants_help) { word = argv[2]; }
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(word, names[i]) != 0) { continue; }
        int result = wants_help ? commands[i].run(1, help) : commands[i].run(argc - 2, argv + 2);
        // A full disk shows only when the last of the output is written.
        if (fflush(stdout) != 0 && result == EXIT_DONE) {
            complain("the output could not be written");
            result = EXIT_FAILED;
        }
        return result;
    }
    const char *near = nearest_name(word, names, N_COMMANDS);
    if (near) {
        complain("there is no command '%s'; did you mean '%s'?", word, near);
    } else {
        complain("there is no command '%s'; 'reprise --help' lists them", word);
    }
    return EXIT_USAGE;
}
