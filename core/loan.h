// A result that stands in a forecaster's device memory and that a caller holds: who frees it, in whatever order forecaster,
// device and holder go. Knows no tensor format. The device's lock is held for all of it but rp_loan_return.
#ifndef RP_LOAN_H
#define RP_LOAN_H

#include <stdatomic.h>

#include "backend.h"

typedef enum rp_loan_state {
    RP_LOAN_OUT,                   // the holder has it
    RP_LOAN_RETURNED,              // by a thread that could not wait: for the next call on the device to end
    RP_LOAN_ALONE                  // the device is gone: for the holder to end
} rp_loan_state;

typedef struct rp_loan rp_loan;
struct rp_loan {
    _Atomic(rp_loan_state) state;
    struct rp_lock *lock;          // the device's, which may go first
    rp_device *device;             // NULL: gone, and the memory with it
    rp_buffer *buffer;             // NULL: the forecaster has it; else the loan does
    rp_loan **place;               // where the forecaster keeps this; NULL: it is gone
    rp_loan *next;                 // in the device's list
};

// Lists a new loan with its device and puts it into *place. NULL: host memory ran out.
rp_loan *rp_loan_create(rp_device *device, rp_loan **place);
// The holder is done, on whatever thread, even while the device is destroyed. It never waits for another thread: a collector of
// garbage calls it with a lock of its own, which that other thread's progress callback may want. Memory is then freed by the next
// call on the device.
void rp_loan_return(rp_loan *loan);
// Ends those that were returned meanwhile.
void rp_loans_collect(rp_device *device);
// The forecaster goes and leaves `buffer`, in which the result lies, to the loan. NULL is fine.
void rp_loan_leave(rp_loan *loan, rp_buffer *buffer);
// The device goes: frees what it holds of the loans' memory; returning one later only frees the loan.
void rp_loans_end(rp_device *device);

#endif
