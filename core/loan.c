#include "loan.h"

#include <stdlib.h>

#include "platform.h"

rp_loan *rp_loan_create(rp_device *device, rp_loan **place) {
    rp_loan *loan = calloc(1, sizeof *loan);
    if (loan == NULL) { return NULL; }
    *loan = (rp_loan){ .lock = rp_lock_share(device->lock), .device = device, .place = place, .next = device->loans };
    device->loans = *place = loan;
    return loan;
}

static void give_back(rp_loan *loan) {
    if (loan->place != NULL) { *loan->place = NULL; }
    if (loan->buffer != NULL) { loan->device->backend->buffer_destroy(loan->buffer); }
    loan->place = NULL, loan->buffer = NULL;
}

static void end(rp_loan *loan) {
    rp_lock_destroy(loan->lock);
    free(loan);
}

void rp_loan_return(rp_loan *loan) {
    struct rp_lock *lock = rp_lock_share(loan->lock);
    if (rp_lock_try(lock)) {
        atomic_store(&loan->state, RP_LOAN_RETURNED);
        if (loan->device != NULL) { rp_loans_collect(loan->device); } else { end(loan); }
        rp_lock_give(lock);
    } else if (atomic_exchange(&loan->state, RP_LOAN_RETURNED) == RP_LOAN_ALONE) {
        end(loan);
    }
    rp_lock_destroy(lock);
}

void rp_loans_collect(rp_device *device) {
    for (rp_loan **at = &device->loans, *loan; (loan = *at) != NULL;) {
        if (atomic_load(&loan->state) != RP_LOAN_RETURNED) {
            at = &loan->next;
            continue;
        }
        *at = loan->next;
        give_back(loan);
        end(loan);
    }
}

void rp_loan_leave(rp_loan *loan, rp_buffer *buffer) {
    if (loan == NULL) { return; }
    loan->buffer = buffer;
    loan->place = NULL;
}

void rp_loans_end(rp_device *device) {
    for (rp_loan *loan = device->loans, *next; loan != NULL; loan = next) {
        next = loan->next;
        give_back(loan);
        loan->device = NULL;
        if (atomic_exchange(&loan->state, RP_LOAN_ALONE) == RP_LOAN_RETURNED) { end(loan); }
    }
    device->loans = NULL;
}
