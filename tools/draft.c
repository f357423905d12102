// Writing beside and renaming; see draft.h.
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700   // realpath
#include "draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool failed(draft *d, int reason, message *error) {
    message_set(error, "%s cannot be written: %s", d->path, strerror(reason));
    free(d->place);
    free(d->beside);
    *d = (draft){ 0 };
    return false;
}

// "folder/reprise-PID-N.part": not made from the file's own name, which may be as long as names can be.
static char *name_beside(const char *place) {
    static unsigned count;
    const char *slash = strrchr(place, '/');
    const size_t folder = slash ? (size_t)(slash - place) + 1 : 0, size = folder + 64;
    char *name = take(size, 1);
    snprintf(name, size, "%.*sreprise-%ld-%u.part", (int)folder, place, (long)getpid(), count++);
    return name;
}

bool draft_open(draft *d, const char *path, message *error) {
    struct stat old;
    *d = (draft){ .path = path };
    const bool exists = stat(path, &old) == 0;
    if (exists && !S_ISREG(old.st_mode)) {   // /dev/stdout, a pipe: nothing can take its place
        d->file = fopen(path, "wb");
        return d->file || failed(d, errno, error);
    }
    if (exists && access(path, W_OK) != 0) { return failed(d, errno, error); }   // a rename would not ask
    d->place = exists ? realpath(path, NULL) : take_text(path);
    if (!d->place) { return failed(d, errno, error); }
    d->beside = name_beside(d->place);
    const int fd = open(d->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) { return failed(d, errno, error); }
    if (exists) { (void)fchmod(fd, old.st_mode & 07777); }   // where that is not allowed, the mode of a new file will do
    d->file = fdopen(fd, "wb");
    if (d->file) { return true; }
    const int reason = errno;
    close(fd);
    unlink(d->beside);
    return failed(d, reason, error);
}

// Why earlier writes failed: the stream keeps no reason, so one more byte is tried. A disk that was full still is.
static int ask_again(int fd) {
    errno = 0;
    return write(fd, "", 1) < 0 && errno ? errno : EIO;
}

bool draft_finish(draft *d, bool good, message *error) {
    const int fd = fileno(d->file);
    int reason = 0;
    if (ferror(d->file)) { reason = ask_again(fd); }
    if (good && !reason && fflush(d->file) != 0) { reason = errno; }
    // Before the name is given: else a crash could leave the name with an empty file. A file system without it says EINVAL.
    if (good && !reason && d->beside && fsync(fd) != 0 && errno != EINVAL) { reason = errno; }
    if (fclose(d->file) != 0 && !reason) { reason = errno; }
    if (good && !reason && d->beside && rename(d->beside, d->place) != 0) { reason = errno; }
    if (d->beside && (!good || reason)) { unlink(d->beside); }
    if (good && reason) { return failed(d, reason, error); }
    free(d->place);
    free(d->beside);
    *d = (draft){ 0 };
    return good;
}

bool draft_text(const char *path, const char *text, message *error) {
    draft d;
    if (!draft_open(&d, path, error)) { return false; }
    fputs(text, d.file);
    fputc('\n', d.file);
    return draft_finish(&d, true, error);
}
