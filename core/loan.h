// A result that stands in a forecaster's device memory and that a caller holds: who frees it, in whatever order forecaster,
// device and holder go. Knows no tensor format.
#ifndef RP_LOAN_H
#define RP_LOAN_H

#include "backend.h"

typedef struct rp_loan rp_loan;
struct rp_loan {
    rp_device *device;             // NULL: gone, and the memory with it
    rp_buffer *buffer;             // NULL: the forecaster has it; else the loan does
    rp_loan **place;               // where the forecaster keeps this; NULL: it is gone
    rp_loan *next;                 // in the device's list
};

// Lists a new loan with its device and puts it into *place. NULL: host memory ran out.
rp_loan *rp_loan_create(rp_device *device, rp_loan **place);
// The holder is done.
void rp_loan_return(rp_loan *loan);
// The forecaster goes and leaves `buffer`, in which the result lies, to the loan. NULL is fine.
void rp_loan_leave(rp_loan *loan, rp_buffer *buffer);
// The device goes: frees what it holds of the loans' memory; returning one later only frees the loan.
void rp_loans_end(rp_device *device);

#endif
