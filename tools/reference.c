// Walks the commands: each is asked for its help, and what would print the page hands the tables on; see reference.h.
#include "reference.h"

#include <string.h>

static struct {
    const char *folder;
    const command *command;    // whose tables come next
    FILE *bash, *zsh;
    bool failed;
} job;

static FILE *open_in(const char *folder, const char *name, const char *ending) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s%s", folder, name, ending) >= (int)sizeof path) { return NULL; }
    FILE *file = fopen(path, "w");
    if (!file) { complain("%s cannot be written; does its folder exist?", path); }
    return file;
}

static bool close_whole(FILE *file) {
    if (!file) { return false; }
    bool whole = !ferror(file);
    return fclose(file) == 0 && whole;
}

static void write_command(const option_set *set) {
    char name[64];
    snprintf(name, sizeof name, "man1/reprise-%s", job.command->name);
    FILE *man = open_in(job.folder, name, ".1");
    if (man) { man_page(man, job.command, set); }
    if (!close_whole(man)) { job.failed = true; }
    bash_command(job.bash, job.command, set);
    zsh_command(job.zsh, job.command, set);
}

bool reference_write(const command *commands, size_t n, const char *folder) {
    char *help[] = { "--help" };
    FILE *man = open_in(folder, "man1/reprise", ".1");
    job.folder = folder;
    job.bash = open_in(folder, "reprise", "");
    job.zsh = open_in(folder, "_reprise", "");
    job.failed = !man || !job.bash || !job.zsh;
    if (!job.failed) {
        man_overview(man, commands, n);
        bash_begin(job.bash, commands, n);
        zsh_begin(job.zsh, commands, n);
        options_help = write_command;
        for (size_t i = 0; i < n; i++) {
            job.command = &commands[i];
            if (commands[i].run(1, help) != EXIT_DONE) { job.failed = true; }
        }
        bash_end(job.bash);
        zsh_end(job.zsh);
    }
    const bool whole[] = { close_whole(man), close_whole(job.bash), close_whole(job.zsh) };
    if (job.failed || !whole[0] || !whole[1] || !whole[2]) {
        complain("the reference in %s is not whole", folder);
        return false;
    }
    return true;
}

value_class reference_value(const option *opt, const char **words) {
    *words = NULL;
    if (opt->kind == OPTION_CHOICE) {
        *words = opt->choices;
        return VALUE_WORDS;
    }
    if (strcmp(opt->name, "device") == 0) {   // the numbered ones need a look at the machine
        *words = "auto|cuda|vulkan|ref";
        return VALUE_WORDS;
    }
    if (strncmp(opt->value, "DIR", 3) == 0) { return VALUE_FOLDER; }
    return strncmp(opt->value, "FILE", 4) == 0 ? VALUE_FILE : VALUE_OTHER;
}
