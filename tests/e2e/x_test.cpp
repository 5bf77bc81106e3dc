int lab_e2e_placeholder;
