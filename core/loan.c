#include "loan.h"

#include <stdlib.h>

rp_loan *rp_loan_create(rp_device *device, rp_loan **place) {
    rp_loan *loan = calloc(1, sizeof *loan);
    if (loan == NULL) { return NULL; }
    *loan = (rp_loan){ .device = device, .place = place, .next = device->loans };
    device->loans = *place = loan;
    return loan;
}

static void give_back(rp_loan *loan) {
    if (loan->place != NULL) { *loan->place = NULL; }
    if (loan->buffer != NULL) { loan->device->backend->buffer_destroy(loan->buffer); }
    loan->place = NULL, loan->buffer = NULL;
}

void rp_loan_return(rp_loan *loan) {
    if (loan->device != NULL) {
        rp_loan **at = &loan->device->loans;
        while (*at != loan) { at = &(*at)->next; }
        *at = loan->next;
        give_back(loan);
    }
    free(loan);
}

void rp_loan_leave(rp_loan *loan, rp_buffer *buffer) {
    if (loan == NULL) { return; }
    loan->buffer = buffer;
    loan->place = NULL;
}

void rp_loans_end(rp_device *device) {
    for (rp_loan *loan = device->loans; loan != NULL; loan = loan->next) {
        give_back(loan);
        loan->device = NULL;
    }
    device->loans = NULL;
}
