use amiko_core::prelude::*;

#[derive(Clone, PartialEq, Phases)]
#[amiko(machine = House)]
enum Door {
    #[amiko(next(B), after)]
    A,
    #[amiko(next(C), after(minutes = 15))]
    B,
    #[amiko(next(D), after(send = Close))]
    C,
    #[amiko(next(E), after(weeks = 15, send = Close))]
    D,
    #[amiko(next(F), after(minutes = "15", send = Close))]
    E,
    #[amiko(next(G), after(minutes = 15, seconds = 1, send = Close))]
    F,
    #[amiko(next(H), after(days = 1000000000000, send = Close))]
    G,
    #[amiko(next(I), after(minutes = 15, send = Message::Close))]
    H,
    #[amiko(on())]
    I,
}

fn main() {}
