// The commands of the program. Each reads its own arguments, argv[0] being the first after the command's name, and returns
// what the program exits with.
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} command;

int command_forecast(int argc, char **argv);
int command_backtest(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_devices(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_soak(int argc, char **argv);

#endif
