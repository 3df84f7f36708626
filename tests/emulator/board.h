/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The simulated Arduino: an ATmega328P at 16 MHz that runs the real firmware image, with a DHT11
 * on D2 and its UART handed to the caller.
 *
 * It knows virtual time only, the processor's own cycles; main() paces it against the clock.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dht11_model.h"
#include "sim_avr.h"

typedef void (*board_uart_sink)(uint8_t byte, void *userdata);

struct board_settings {
    const char *elf;
    const char *boot_loader; /* Intel hex, run at every reset, or NULL */
    const char *eeprom;      /* file that keeps the EEPROM, or NULL */
    double boot_ms;          /* stands in for a boot loader's wait */
    uint16_t node;           /* number put into the EEPROM, 0: leave it */
    struct dht11_model_settings sensor;
    board_uart_sink uart_sink;
    void *userdata; /* the sink's */
};

struct board {
    struct board_settings settings;
    avr_t *avr;
    void (*simavr_reset)(avr_t *avr);
    avr_irq_t *uart_input;
    bool is_uart_input_full;
    struct dht11_model sensor;
    uint32_t hang_address; /* of an endless loop with interrupts off, 0: none in the image */
    avr_cycle_count_t boots_at;
    bool is_powered;
    uint8_t *eeprom; /* simavr's own */
    uint8_t saved_eeprom[1024];
    unsigned long n_resets;
    unsigned long n_watchdog_resets;
};

/* Returns 0 or a negative errno, having said why on stderr. Must not move afterwards. */
int board_init(struct board *board, const struct board_settings *settings);
void board_deinit(struct board *board);

void board_power_on(struct board *board);
void board_power_off(struct board *board);

/* The reset line, as the button or DTR pulls it. */
void board_reset(struct board *board);

/* Sends the processor into an endless loop. Returns 0 or -ENOTSUP. */
int board_hang(struct board *board);

/* Goes on to a point in virtual time. Returns 0, or -EIO if the processor has stopped for good. */
int board_run(struct board *board, avr_cycle_count_t until);

/* The speed that the program has set its UART to. */
unsigned board_baud(const struct board *board);

/* Hands one byte to the UART. Not to be called while is_uart_input_full. */
void board_receive(struct board *board, uint8_t byte);

/* Writes the EEPROM to its file if it has changed. */
void board_save_eeprom(struct board *board);
